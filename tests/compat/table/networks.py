"""Neural networks: PyTorch, TensorFlow, Keras, transformers, tokenizers."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_TORCH = Package("torch", ("torch",))
_TENSORFLOW = Package("tensorflow", ("tensorflow",))
_KERAS = Package("keras", ("keras",))
_TRANSFORMERS = Package("transformers", ("transformers", "torch"))
_TOKENIZERS = Package("tokenizers", ("tokenizers",))

_VOCABULARY = "{'[UNK]': 0, '[CLS]': 1, '[SEP]': 2, 'hello': 3, 'world': 4}"

ENTRIES: list[Entry] = [
    _TORCH.entry(
        "torch",
        (
            "import torch",
            "obj = torch.arange(12.0).reshape(3, 4)",
            "view = obj[1]; turned = obj.T; leaf = torch.ones(3, requires_grad=True); (leaf * 2).sum().backward(); kind = torch.float32; place = torch.device('cpu'); state = torch.Generator().manual_seed(3)",
        ),
        (
            "obj.tolist()",
            "view.tolist()",
            "turned.tolist()",
            "leaf.grad.tolist(), leaf.requires_grad",
            "str(obj.dtype), str(place)",
            "torch.rand(2, generator=state.clone_state()).tolist() if hasattr(state, 'clone_state') else None",
        ),
        "view[0] = -5; obj[0] *= 3; (leaf * 3).sum().backward()",
        "obj.data_ptr() == turned.data_ptr()",
        "view.untyped_storage().data_ptr() == obj.untyped_storage().data_ptr()",
        "kind is torch.float32",
        "obj.dtype is kind",
    ),
    _TORCH.entry(
        "torch.nn",
        (
            "import torch; from torch import nn; torch.manual_seed(0)",
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.embed = nn.Linear(4, 4, bias=False)\n        self.out = nn.Linear(4, 4, bias=False)\n        self.out.weight = self.embed.weight\n        self.norm = nn.BatchNorm1d(4)\n    def forward(self, x): return self.out(torch.relu(self.norm(self.embed(x))))",
            "obj = Net(); x = torch.randn(5, 4); weights = obj.state_dict(); first = obj.embed; obj.train(); obj(x); obj.eval()",
        ),
        (
            "obj(x).tolist()",
            "{k: v.tolist() for k, v in weights.items()}",
            "obj.norm.running_mean.tolist()",
            "obj.training",
        ),
        "with torch.no_grad(): obj.embed.weight.mul_(2)\nobj.train(); _ = obj(x); obj.eval()",
        "obj.out.weight is obj.embed.weight",
        "first is obj.embed",
        "weights['embed.weight'].data_ptr() == obj.embed.weight.data_ptr()",
        "type(obj) is Net",
    ),
    _TORCH.entry(
        "torch.nn.functional",
        (
            "import torch, torch.nn.functional as F",
            "logits = torch.arange(6.0, requires_grad=True); obj = F.softmax(logits.detach().reshape(2, 3), dim=1); loss = F.cross_entropy(logits.reshape(2, 3).detach(), torch.tensor([0, 2]))",
            "activation = F.gelu; soft = F.softmax",
        ),
        ("obj.tolist()", "loss.item()", "activation(torch.tensor(1.0)).item()"),
        "obj[0] = 0",
        "activation is F.gelu",
        "soft is F.softmax",
        "logits.requires_grad and logits.is_leaf",
    ),
    _TORCH.entry(
        "torch.optim",
        (
            "import torch; from torch import nn; torch.manual_seed(0)",
            "model = nn.Linear(3, 1); obj = torch.optim.Adam(model.parameters(), lr=0.1); plan = torch.optim.lr_scheduler.StepLR(obj, step_size=2, gamma=0.5)",
            "x = torch.randn(8, 3); y = x.sum(1, keepdim=True)",
            "def step():\n    obj.zero_grad(); loss = ((model(x) - y) ** 2).mean(); loss.backward(); obj.step(); plan.step(); return loss.item()",
            "losses = [step() for _ in range(3)]",
        ),
        (
            "losses",
            "obj.param_groups[0]['lr']",
            "model.weight.tolist()",
            "plan.last_epoch",
            "[float(s['step']) for s in obj.state.values()]",
        ),
        "losses.append(step())",
        "obj.param_groups[0]['params'][0] is model.weight",
        "plan.optimizer is obj",
        "list(obj.state)[0] is model.weight",
    ),
    _TORCH.entry(
        "torch.utils.data",
        (
            "import torch; from torch.utils.data import DataLoader, TensorDataset, Dataset, Subset",
            "class Squares(Dataset):\n    def __init__(self, n): self.n = n\n    def __len__(self): return self.n\n    def __getitem__(self, i): return torch.tensor(i * i)",
            "data = Squares(6); generator = torch.Generator().manual_seed(5); obj = DataLoader(data, batch_size=4, shuffle=True, generator=generator); tensors = TensorDataset(torch.arange(3))",
        ),
        (
            "len(obj), obj.batch_size",
            "[b.tolist() for b in DataLoader(data, batch_size=4)]",
            "generator.get_state().tolist()[:40]",
            "[t[0].item() for t in tensors]",
        ),
        "data.n = 9; torch.rand(1, generator=generator)",
        "obj.dataset is data",
        "obj.generator is generator",
    ),
    _TENSORFLOW.entry(
        "tensorflow",
        (
            "import tensorflow as tf",
            "obj = tf.Variable([1.0, 2.0], name='v'); fixed = tf.constant([[1, 2], [3, 4]]); parts = tf.ragged.constant([[1], [2, 3]])",
            "holder = [obj]",
        ),
        ("obj.numpy()", "fixed.numpy()", "obj.name", "parts.to_list()"),
        "obj.assign_add([5.0, 5.0]); fixed = fixed + 1",
        "holder[0] is obj",
    ),
    _TENSORFLOW.entry(
        "tensorflow.keras.models",
        (
            "import tensorflow as tf; tf.keras.utils.set_random_seed(1)",
            "obj = tf.keras.models.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(2, name='d')]); obj.compile('adam', 'mse'); layer = obj.layers[0]; x = tf.ones((4, 3)); obj.fit(x, tf.ones((4, 2)), verbose=0)",
        ),
        ("obj(x).numpy()", "[w.shape for w in obj.get_weights()]", "obj.optimizer.iterations.numpy()"),
        "_ = obj.fit(x, tf.zeros((4, 2)), verbose=0)",
        "obj.layers[0] is layer",
    ),
    _TENSORFLOW.entry(
        "tensorflow.keras.optimizers",
        (
            "import tensorflow as tf",
            "weight = tf.Variable([1.0]); obj = tf.keras.optimizers.Adam(0.1); obj.apply_gradients([(tf.constant([1.0]), weight)])",
        ),
        ("weight.numpy()", "float(obj.learning_rate.numpy())", "[v.numpy().tolist() for v in obj.variables]"),
        "obj.apply_gradients([(tf.constant([0.5]), weight)])",
    ),
    _KERAS.entry(
        "keras.src.layers.core.dense.Dense",
        (
            "import keras, numpy as np; keras.utils.set_random_seed(1)",
            "obj = keras.layers.Dense(2, activation='relu', name='d'); x = np.ones((3, 4), 'float32'); made = obj(x); model = keras.Sequential([keras.layers.Input((4,)), obj]); model.compile('adam', 'mse'); model.fit(x, np.zeros((3, 2)), verbose=0)",
        ),
        (
            "keras.ops.convert_to_numpy(obj(x))",
            "[np.array(w) for w in obj.get_weights()]",
            "obj.name, obj.units, obj.activation.__name__",
            "keras.ops.convert_to_numpy(model(x))",
        ),
        "obj.set_weights([w + 1 for w in obj.get_weights()])",
        "model.layers[0] is obj",
        "obj.activation is keras.activations.relu",
    ),
    _KERAS.entry(
        "keras.src.initializers.initializers.RandomNormal",
        ("import keras", "obj = keras.initializers.RandomNormal(mean=1.0, stddev=2.0, seed=3)"),
        ("obj.get_config()", "keras.ops.convert_to_numpy(obj((2, 2)))"),
        "obj.mean = 4.0",
    ),
    _KERAS.entry(
        "keras.src.initializers.initializers.RandomUniform",
        ("import keras", "obj = keras.initializers.RandomUniform(-1.0, 1.0, seed=3)"),
        ("obj.get_config()", "keras.ops.convert_to_numpy(obj((2, 2)))"),
        "obj.maxval = 4.0",
    ),
    _KERAS.entry(
        "keras.src.optimizers.adam.Adam",
        (
            "import keras, numpy as np",
            "obj = keras.optimizers.Adam(0.01); weight = keras.Variable(np.ones(3, 'float32'), name='w'); obj.build([weight]); obj.apply([keras.ops.ones(3)], [weight])",
        ),
        (
            "keras.ops.convert_to_numpy(weight.value)",
            "float(obj.learning_rate)",
            "int(obj.iterations)",
            "[keras.ops.convert_to_numpy(v.value) for v in obj.variables]",
        ),
        "obj.apply([keras.ops.ones(3) * 2], [weight]); obj.learning_rate = 0.5",
        "obj._trainable_variables[0] is weight",
    ),
    _KERAS.entry(
        "keras.src.optimizers.schedules.learning_rate_schedule.ExponentialDecay",
        ("import keras", "obj = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)"),
        ("obj.get_config()", "float(obj(20))"),
        "obj.decay_rate = 0.9",
    ),
    _TRANSFORMERS.entry(
        "transformers",
        (
            "import torch, transformers; from transformers import BertConfig, BertModel; transformers.logging.set_verbosity_error(); torch.manual_seed(0)",
            "config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, max_position_embeddings=16); obj = BertModel(config).eval()",
        ),
        (
            "obj(torch.tensor([[1, 2, 3]])).last_hidden_state.detach().numpy().round(5)",
            "config.to_dict()",
            "obj.num_parameters()",
        ),
        "with torch.no_grad(): obj.embeddings.word_embeddings.weight.add_(1)\nconfig.note = 'n'",
        "obj.config is config",
    ),
    _TRANSFORMERS.entry(
        "huggingface",
        (
            "from tokenizers import Tokenizer, models, pre_tokenizers; from transformers import PreTrainedTokenizerFast",
            f"inner = Tokenizer(models.WordLevel({_VOCABULARY}, unk_token='[UNK]')); inner.pre_tokenizer = pre_tokenizers.Whitespace(); obj = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token='[UNK]', pad_token='[SEP]')",
        ),
        ("obj('hello world')['input_ids']", "obj.unk_token", "len(obj)"),
        "obj.add_tokens(['new']); obj.pad_token = '[CLS]'",
    ),
    _TOKENIZERS.entry(
        "tokenizers",
        (
            "from tokenizers import Tokenizer, models, pre_tokenizers",
            f"obj = Tokenizer(models.WordLevel({_VOCABULARY}, unk_token='[UNK]')); obj.pre_tokenizer = pre_tokenizers.Whitespace()",
            "encoded = obj.encode('hello there world')",
        ),
        ("obj.encode('hello world').ids", "obj.get_vocab_size()", "encoded.tokens", "obj.to_str()"),
        "obj.add_tokens(['there']); encoded = obj.encode('there')",
    ),
]
