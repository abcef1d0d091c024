"""Text, tools and interfaces: arrow, llm, nltk, gensim, gym, widgets."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_WIDGETS = Package("ipywidgets", ("ipywidgets",))
_TEXTBLOB = Package("textblob", ("textblob",))
_GENSIM = Package("gensim", ("gensim",))
_GYM = Package("gym", ("gym",))
_ARROW = Package("arrow", ("arrow",))
_LLM = Package("llm", ("llm",))
_NLTK = Package("nltk", ("nltk",))

ENTRIES: list[Entry] = [
    _WIDGETS.entry(
        "ipywidgets",
        (
            "import ipywidgets as w",
            "obj = w.IntSlider(value=3, max=20, description='n'); box = w.VBox([obj, w.Label('hi')])",
        ),
        ("obj.value, obj.max, obj.description", "len(box.children)", "box.children[1].value"),
        "obj.value = 8; box.children[1].value = 'bye'",
        "box.children[0] is obj",
    ),
    _TEXTBLOB.entry(
        "textblob.TextBlob",
        ("from textblob import TextBlob", "obj = TextBlob('Simple is better than complex.'); upper = obj.upper()"),
        ("str(obj)", "str(upper)", "obj.raw", "obj.replace('better', 'best').raw"),
        "obj = obj + TextBlob(' More.')",
    ),
    _GENSIM.entry(
        "gensim",
        (
            "from gensim import corpora, models",
            "texts = [['red', 'green'], ['green', 'blue', 'blue']]; obj = corpora.Dictionary(texts); vectors = models.Word2Vec(texts, vector_size=4, min_count=1, workers=1, seed=1)",
        ),
        ("obj.token2id", "obj.doc2bow(['blue', 'blue', 'red'])", "vectors.wv['blue']", "obj.num_docs"),
        "obj.add_documents([['tea']])",
    ),
    _GYM.entry(
        "gym",
        (
            "import gym; from gym import spaces",
            "obj = gym.make('CartPole-v1'); first = obj.reset(seed=3); box = spaces.Discrete(4, seed=1)",
        ),
        ("obj.unwrapped.state", "repr(obj.action_space)", "repr(box)", "obj.spec.id"),
        "_ = obj.unwrapped.step(1)",
    ),
    _ARROW.entry(
        "arrow.arrow.Arrow",
        ("import arrow", "obj = arrow.get(2024, 3, 31, 1, 30, tzinfo='Europe/Berlin'); shifted = obj.shift(days=2)"),
        ("obj.isoformat()", "shifted.isoformat()", "obj.tzinfo.utcoffset(obj.datetime).total_seconds()"),
        "obj = obj.shift(months=1)",
    ),
    _LLM.entry(
        "llm.default_plugins.openai_models.Chat",
        (
            "from llm.default_plugins.openai_models import Chat",
            "obj = Chat('gpt-mine', model_name='mine', api_base='http://localhost:1'); talk = obj.conversation()",
        ),
        ("obj.model_id, obj.model_name, obj.api_base", "str(obj)", "len(talk.responses)"),
        "obj.api_base = 'http://localhost:2'",
        "talk.model is obj",
    ),
    _NLTK.entry(
        "nltk.stem.porter.PorterStemmer",
        (
            "from nltk.stem.porter import PorterStemmer; from nltk import FreqDist, Tree",
            "obj = PorterStemmer(); counts = FreqDist('abracadabra'); tree = Tree.fromstring('(S (N a) (V b))')",
        ),
        ("obj.stem('running'), obj.mode", "counts.most_common(2)", "str(tree)"),
        "obj.pool['sky'] = 'heaven'; counts['z'] += 9; obj.mode = obj.MARTIN_EXTENSIONS",
    ),
]
