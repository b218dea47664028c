"""CPU tensors that report cuda:0, for tests of placement and of CUDA graphs on machines without a GPU.

Inside `disguised_cuda()` a tensor that is made on or moved to "cuda" reports cuda:0, as does all that is computed from
it. An operation on tensors of both devices raises, as on a GPU. A CUDA graph is a list of the operations that ran while
it was recorded; replaying runs them again into the same memory. As on a GPU, recording leaves no results behind, and
what makes the processor wait for the device, or copies from one to the other, raises while recording. In strict mode
what has no deterministic form on CUDA raises.

It shows where tensors are and what is recorded; not kernels, their rounding, memory, or a second GPU.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")
MEMORY = 16 << 30

COPIES = {"aten::copy_", "aten::_to_copy", "aten::_has_compatible_shallow_copy_type"}
"""Operations that may read one device and write the other."""
INDEXING = {"aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}
"""Operations whose indices may lie on the CPU."""
WAITING = {
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::is_nonzero",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::bincount",
    "aten::repeat_interleave",
}
"""Operations whose result, or its shape, the processor has to wait for."""
READING = {"tolist", "numpy", "item", "__bool__", "__int__", "__float__", "__index__", "__array__", "cpu"}
"""Methods of a tensor that hand its values to the processor."""
NOT_DETERMINISTIC = {"aten::cumsum", "aten::cumsum_", "aten::histc", "aten::put_", "aten::nll_loss2d_forward"}
"""Operations on floats that raise in strict mode on CUDA (torch.use_deterministic_algorithms)."""


class DisguiseError(RuntimeError):
    """Something that a GPU would refuse."""


class Disguise:
    """Which storages are on the pretended device, and the graph that is being recorded."""

    def __init__(self):
        self._storages = {}
        self.recording = None
        self.moving = False
        self.creating = False
        self.recorded_graphs = 0
        self.replays = 0

    def has(self, tensor):
        found = self._storages.get(tensor.untyped_storage()._cdata)
        return found is not None and not found.expired()

    def mark(self, tensor):
        if len(self._storages) > 20_000:
            self._storages = {key: ref for key, ref in self._storages.items() if not ref.expired()}
        storage = tensor.untyped_storage()
        self._storages[storage._cdata] = StorageWeakRef(storage)

    def refuse_while_recording(self, what):
        if self.recording is not None:
            raise DisguiseError(f"{what} is illegal while a CUDA graph is recorded")

    @contextlib.contextmanager
    def state(self, name):
        before = getattr(self, name)
        setattr(self, name, True)
        try:
            yield
        finally:
            setattr(self, name, before)


def is_cuda(device):
    if isinstance(device, bool) or not isinstance(device, (str, int, torch.device)):
        return False
    return torch.device(device).type == "cuda" if not isinstance(device, int) else True


class Calls(TorchFunctionMode):
    """What names a device: factories, moves, reading values."""

    def __init__(self, disguise):
        super().__init__()
        self.disguise = disguise

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if args and isinstance(args[0], torch.Tensor):
            if name in ("to", "cuda", "cpu") and getattr(torch.Tensor, name) == func:
                return self.move(name, args, kwargs)
            if name in READING and self.disguise.has(args[0]):
                self.disguise.refuse_while_recording(f"Tensor.{name}")
                if name in ("numpy", "__array__"):
                    raise DisguiseError(f"Tensor.{name} of a tensor on cuda:0")
        if func in (torch.mm, torch.bmm) and "out_dtype" in kwargs:
            return func(*(part.to(kwargs["out_dtype"]) for part in args))
        if is_cuda(kwargs.get("device")):
            if func in (torch.tensor, torch.as_tensor, torch.asarray):
                self.disguise.refuse_while_recording("a copy from the processor")
            with self.disguise.state("creating"):
                made = func(*args, **{**kwargs, "device": CPU})
            self.disguise.mark(made)
            return made
        return func(*args, **kwargs)

    def move(self, name, args, kwargs):
        tensor, rest = args[0], list(args[1:])
        target = {"cuda": CUDA, "cpu": CPU}.get(name)
        if name == "to":
            target = kwargs.pop("device", None)
            if rest and (rest[0] is None or isinstance(rest[0], (str, int, torch.device))):
                target = rest.pop(0)
            elif rest and isinstance(rest[0], torch.Tensor):
                other = rest.pop(0)
                target, kwargs["dtype"] = other.device, other.dtype
            rest = [each for each in rest if each is not None]
        else:
            rest = []
        kwargs.pop("non_blocking", None)
        there = self.disguise.has(tensor)
        moves = target is not None and is_cuda(target) != there
        moved = tensor
        if [each for each in rest if not isinstance(each, bool)] or kwargs.get("dtype") is not None:
            moved = torch.Tensor.to(tensor, *rest, **kwargs)
        if not moves:
            return moved
        self.disguise.refuse_while_recording(f"a copy from {tensor.device} to {target}")
        with self.disguise.state("moving"):
            moved = moved.clone()
        if is_cuda(target):
            self.disguise.mark(moved)
        return moved


class Kernels(TorchDispatchMode):
    """What computes: carries the device from inputs to outputs, refuses mixtures, records."""

    def __init__(self, disguise):
        super().__init__()
        self.disguise = disguise

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.disguise.moving:
            return func(*args, **kwargs)
        if kwargs.get("pin_memory"):
            self.disguise.refuse_while_recording("pinned memory")
            kwargs = {**kwargs, "pin_memory": False}
        name = func._schema.name
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        marked = [tensor for tensor in tensors if self.disguise.has(tensor)]
        if marked:
            self.check(func, name, args, tensors, marked)
        recording = self.disguise.recording if marked or self.disguise.creating else None
        if recording is not None:
            recording.keep_what_is_written(func, args, kwargs)
        result = func(*args, **kwargs)
        if marked or self.disguise.creating:
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    self.disguise.mark(leaf)
        if recording is not None:
            recording.operations.append((func, args, kwargs, result))
        return result

    def check(self, func, name, args, tensors, marked):
        elsewhere = [tensor for tensor in tensors if not self.disguise.has(tensor) and tensor.dim() > 0]
        if elsewhere and name in COPIES | INDEXING:
            self.disguise.refuse_while_recording(f"{name} between devices")
            if name in INDEXING and not self.disguise.has(args[0]):
                raise DisguiseError(f"{name}: indices on cuda:0 of a tensor on the CPU")
        elif elsewhere:
            raise DisguiseError(f"{func}: tensors on cuda:0 and on the CPU")
        if name == "aten::where" and len(marked) < len(tensors):
            self.disguise.refuse_while_recording("aten::where with a number, which is copied to the device,")
        if name in WAITING:
            self.disguise.refuse_while_recording(name)
        if name in INDEXING and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in tree_leaves(args[1])
        ):
            self.disguise.refuse_while_recording(f"{name} with a mask")
        strict = torch.are_deterministic_algorithms_enabled()
        if strict and name in NOT_DETERMINISTIC and marked[0].is_floating_point():
            raise DisguiseError(f"{name} has no deterministic form on CUDA")


class Graph:
    """A CUDA graph: operations with the memory that they read and write."""

    def __init__(self, disguise):
        self.disguise, self.operations, self._before = disguise, [], {}

    def keep_what_is_written(self, func, args, kwargs):
        given = [*args, *([None] * (len(func._schema.arguments) - len(args)))]
        for argument, value in zip(func._schema.arguments, given, strict=True):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tree_leaves(kwargs.get(argument.name, value)):
                    storage = tensor.untyped_storage()
                    self._before.setdefault(storage._cdata, (storage, storage.clone()))

    def end(self):
        """Recording ran nothing: takes back what was written, and spoils what was computed."""
        with self.disguise.state("moving"), torch.no_grad():
            for storage, before in self._before.values():
                storage.copy_(before)
            for _func, args, kwargs, result in self.operations:
                for made in new_memory(args, kwargs, result):
                    if made.is_floating_point():
                        made.fill_(float("nan"))
        self._before = {}

    def replay(self):
        self.disguise.replays += 1
        with self.disguise.state("moving"), torch.no_grad():
            for func, args, kwargs, result in self.operations:
                again = func(*args, **kwargs)
                for kept, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(kept, torch.Tensor) and storage_of(kept) != storage_of(new):
                        kept.copy_(new)


def storage_of(tensor):
    return tensor.untyped_storage()._cdata


def new_memory(args, kwargs, result):
    given = {storage_of(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
    made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    return [leaf for leaf in made if storage_of(leaf) not in given]


@contextlib.contextmanager
def disguised_cuda():
    """A machine with one pretended GPU inside the block; gives the Disguise."""
    disguise = Disguise()

    @contextlib.contextmanager
    def record(graph):
        disguise.refuse_while_recording("another recording")
        disguise.recording = graph
        try:
            yield
        finally:
            disguise.recording = None
        graph.end()
        disguise.recorded_graphs += 1

    real_device = torch.Tensor.device
    stream = SimpleNamespace(wait_stream=lambda _other: None)
    functions = {
        "is_available": lambda: True,
        "is_initialized": lambda: False,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda _device: None,
        "is_bf16_supported": lambda **_: True,
        "get_device_name": lambda *_: "disguise",
        "get_device_capability": lambda *_: (9, 0),
        "get_device_properties": lambda *_: SimpleNamespace(total_memory=MEMORY, name="disguise"),
        "mem_get_info": lambda *_: (MEMORY, MEMORY),
        "memory_allocated": lambda *_: 0,
        "memory_reserved": lambda *_: 0,
        "max_memory_allocated": lambda *_: 0,
        "reset_peak_memory_stats": lambda *_: None,
        "empty_cache": lambda: None,
        "get_rng_state": lambda *_: torch.zeros(1, dtype=torch.uint8),
        "set_rng_state": lambda *_: None,
        "synchronize": lambda *_: disguise.refuse_while_recording("synchronize"),
        "Stream": lambda: stream,
        "current_stream": lambda *_: stream,
        "stream": lambda _stream: contextlib.nullcontext(),
        "CUDAGraph": lambda: Graph(disguise),
        "graph": record,
    }
    with contextlib.ExitStack() as stack:
        for name, function in functions.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, function))
        device = property(lambda tensor: CUDA if disguise.has(tensor) else real_device.__get__(tensor))
        stack.enter_context(mock.patch.object(torch.Tensor, "device", device, create=True))
        stack.enter_context(mock.patch.object(torch.Tensor, "is_cuda", property(disguise.has), create=True))
        stack.enter_context(Kernels(disguise))
        stack.enter_context(Calls(disguise))
        yield disguise
