"""The documentation says what the code does: each method, field, option and link exists, and none is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from holdfast import errors, protocol
from holdfast.cli import cli
from holdfast.protocol import camel_case
from holdfast.settings import Settings

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])
EXAMPLES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PROTOCOL, re.DOTALL)]
METHODS = [*protocol.REQUESTS, *protocol.NOTIFICATIONS, *protocol.SERVER_REQUESTS]


def examples_of(method: str) -> list[dict[str, Any]]:
    return [example for example in EXAMPLES if example.get("method") == method]


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    return next(example for example in EXAMPLES if example.get("id") == request["id"] and "result" in example)


def survives(example: Any, kind: Any) -> None:
    """An example has the type that the protocol says, and no member that the protocol does not know."""
    converter = protocol.make_converter()
    again = converter.unstructure(converter.structure(example, kind), kind)
    contained(example, again, "example")


def contained(part: Any, whole: Any, where: str) -> None:
    if isinstance(part, dict):
        for name, value in part.items():
            assert name in whole, f"{where} has a member {name!r} that does not exist"
            contained(value, whole[name], f"{where}.{name}")
    elif isinstance(part, list):
        assert len(part) == len(whole), where
        for index, value in enumerate(part):
            contained(value, whole[index], f"{where}[{index}]")
    else:
        assert part == whole, where


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_described_with_an_example_that_is_right(method: str) -> None:
    assert f"### `{method}`" in PROTOCOL
    examples = examples_of(method)
    assert examples, f"{method} has no example"
    requests = {**protocol.REQUESTS, **protocol.SERVER_REQUESTS}
    for example in examples:
        if method not in requests:
            survives(example["params"], protocol.NOTIFICATIONS[method])
            continue
        params, result = requests[method]
        if params is not None:
            survives(example["params"], params)
        if result is not None:
            answer = answer_to(example)["result"]
            survives(answer, list[protocol.State] if method == protocol.STATE_FLUSH else result)


@pytest.mark.parametrize("name", ["Run", "Lost"])
def test_examples_of_types_are_right(name: str) -> None:
    (example,) = [example[name] for example in EXAMPLES if name in example]
    survives(example, getattr(protocol, name))


def wire_classes() -> list[type]:
    found = [value for value in vars(protocol).values() if isinstance(value, type) and attrs.has(value)]
    return [cls for cls in found if cls.__module__.startswith(f"{protocol.__name__}.")]


@pytest.mark.parametrize("cls", wire_classes(), ids=lambda cls: cls.__name__)
def test_every_field_on_the_wire_is_described(cls: type) -> None:
    for field in attrs.fields(cls):  # type: ignore[arg-type]
        name = camel_case(field.name)
        assert re.search(rf"[`{{ ,]{name}\??[`}},]", PROTOCOL), f"{cls.__name__}.{name} is not in docs/protocol.md"


@pytest.mark.parametrize("code", [value for value in vars(errors).values() if isinstance(value, int) and value < 0])
def test_every_error_code_is_described(code: int) -> None:
    assert f"\n| {code} |" in PROTOCOL


def test_the_capabilities_in_the_example_are_those_of_the_server() -> None:
    (example,) = [example["holdfast"] for example in EXAMPLES if "holdfast" in example]
    assert example == {"version": protocol.VERSION, "methods": sorted(protocol.REQUESTS)}


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_in_the_reference(name: str, command: click.Command) -> None:
    found = re.search(rf"^### `holdfast {name}\b.*?(?=^##)", REFERENCE, re.DOTALL | re.MULTILINE)
    assert found is not None, f"holdfast {name} is not in docs/reference.md"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert any(f"`{option}" in found[0] for option in parameter.opts), f"{parameter.opts} of holdfast {name}"


def test_every_setting_is_in_the_reference() -> None:
    for name in Settings.__dataclass_fields__:
        assert f"| `{camel_case(name)}` |" in REFERENCE, name


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(
        r"^#+ +(.*?)$", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}, and there is no such heading"
