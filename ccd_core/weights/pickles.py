"""Pickles read as data: no class of a pickle is looked up, nothing in it is imported or called.

A pickle is a small program. Python's own `pickle` runs it, and so runs whatever code the file names. The
reader here steps through the program too, but builds numbers, strings and containers only. Where the file
names a class or a function, an `Unknown` that remembers the name and the arguments takes its place; the few
names that describe tensors give a `StoredTensor`.

It stops at oversized files too: the number of steps is bounded, and tensors are descriptions until
`torch_files` has compared them with what the file holds.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

MAX_STEPS = 3_000_000  # a training checkpoint of a thousand tensors has about 200,000
PLAIN = (str, bytes, int, float, bool, type(None))  # what may be the key of a dictionary


class BadPickle(ValueError):
    """The pickle is cut off, damaged, or holds what no file of weights holds."""


class Name(NamedTuple):
    """A class or a function that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Unknown:
    """An object of a class that is not looked up.

    name: the full name of the class, or of the function that would have made the object. attributes: what
    would become its `__dict__`. entries: what would be set by key.
    """

    name: str
    arguments: Any = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    entries: dict[Any, Any] = field(default_factory=dict)


class Storage(NamedTuple):
    """Where numbers lie in the file.

    kind: torch's name of the storage ("HalfStorage"). key: the record that holds it. length: its numbers.
    """

    kind: str
    key: str
    length: int


class StoredTensor(NamedTuple):
    """A tensor as the file describes it, in numbers of its storage. dtype: torch's name, or None."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str | None = None


def read_pickle(file: IO[bytes]) -> Any:
    """The value of the pickle at the file's position, which afterwards is behind it. Raises BadPickle."""
    reader = _Reader()
    try:
        for steps, (code, argument, _) in enumerate(pickletools.genops(file)):
            if steps > MAX_STEPS:
                raise BadPickle(f"it has more than {MAX_STEPS:,} steps")
            if code.name == "STOP":
                return reader.stack.pop()
            reader.step(code.name, argument)
    except BadPickle:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise BadPickle(f"{type(error).__name__}: {error}") from None
    raise BadPickle("it does not end")


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # sets are read as lists: their members need no hash
}
VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
COLLECTED: dict[str, Callable[[list[Any]], Any]] = {
    "LIST": list,
    "TUPLE": tuple,
    "FROZENSET": list,
    "DICT": lambda items: _dictionary(zip(items[::2], items[1::2], strict=True)),
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Reader:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, code: str, argument: Any) -> None:
        """Do one step of the pickle's program."""
        push = self.stack.append
        if code in VALUES:
            push(argument)
        elif code in CONSTANTS:
            push(CONSTANTS[code])
        elif code in EMPTY:
            push(EMPTY[code]())
        elif code in COLLECTED:
            push(COLLECTED[code](self.to_mark()))
        elif code in TUPLES:
            push(tuple(self.top(TUPLES[code])))
        elif code in ("BINGET", "GET", "LONG_BINGET"):
            push(self.memo[argument])
        elif code in ("BINPUT", "PUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif code not in ("PROTO", "FRAME"):
            method = getattr(self, f"do_{code.lower()}", None)
            if method is None:
                raise BadPickle(f"it has a step {code}, which files of weights do not have")
            method(argument)

    def to_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        begin = self.marks.pop()
        items = self.stack[begin:]
        del self.stack[begin:]
        return items

    def top(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise BadPickle("a step needs more values than there are")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def do_mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def do_pop(self, _: Any) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def do_pop_mark(self, _: Any) -> None:
        self.to_mark()

    def do_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def do_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_append(self, _: Any) -> None:
        [item] = self.top(1)
        _extend(self.stack[-1], [item])

    def do_appends(self, _: Any) -> None:
        items = self.to_mark()
        _extend(self.stack[-1], items)

    do_additems = do_appends

    def do_setitem(self, _: Any) -> None:
        key, value = self.top(2)
        _set_entries(self.stack[-1], [key, value])

    def do_setitems(self, _: Any) -> None:
        items = self.to_mark()
        _set_entries(self.stack[-1], items)

    def do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(Name(module, name))

    def do_stack_global(self, _: Any) -> None:
        module, name = self.top(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise BadPickle("it names something without a name")
        self.stack.append(Name(module, name))

    def do_reduce(self, _: Any) -> None:
        called, arguments = self.top(2)
        self.stack.append(_made(called, arguments))

    def do_newobj(self, _: Any) -> None:
        named, arguments = self.top(2)
        self.stack.append(_made(named, arguments))

    def do_newobj_ex(self, _: Any) -> None:
        named, arguments, _names = self.top(3)
        self.stack.append(_made(named, arguments))

    def do_inst(self, argument: str) -> None:
        self.do_global(argument)
        [named] = self.top(1)
        self.stack.append(_made(named, tuple(self.to_mark())))

    def do_obj(self, _: Any) -> None:
        named, *arguments = self.to_mark()
        self.stack.append(_made(named, tuple(arguments)))

    def do_build(self, _: Any) -> None:
        """The object on the stack gets its attributes. What is no `Unknown` has none that anybody reads."""
        [state] = self.top(1)
        made = self.stack[-1]
        if isinstance(made, Unknown):
            parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
            for part in parts:
                if isinstance(part, dict):
                    made.attributes.update(
                        (name, value) for name, value in part.items() if isinstance(name, str)
                    )

    def do_binpersid(self, _: Any) -> None:
        [name] = self.top(1)
        self.stack.append(_reference(name))


def _dictionary(pairs: Any) -> dict[Any, Any]:
    """Entries whose key is a tuple or an object are left out: no file of weights names its tensors so."""
    return {key: value for key, value in pairs if isinstance(key, PLAIN)}


def _extend(container: Any, items: list[Any]) -> None:
    if isinstance(container, list):
        container.extend(items)
    elif not isinstance(container, Unknown):
        raise BadPickle(f"it appends to a {type(container).__name__}")


def _set_entries(container: Any, items: list[Any]) -> None:
    entries = _dictionary(zip(items[::2], items[1::2], strict=True))
    if isinstance(container, dict):
        container.update(entries)
    elif isinstance(container, Unknown):
        container.entries.update(entries)
    else:
        raise BadPickle(f"it sets an entry of a {type(container).__name__}")


def _reference(name: Any) -> Storage | Name:
    """A storage; torch names it ("storage", class, key, device, length), in old files with a view behind.

    Old files of whole networks refer to classes as well: ("module", class, file, code).
    """
    if isinstance(name, tuple) and len(name) == 4 and name[0] == "module" and isinstance(name[1], Name):
        return name[1]
    if not isinstance(name, tuple) or len(name) < 5 or name[0] != "storage":
        raise BadPickle("it refers to something outside that is no tensor")
    _, kind, key, _device, length, *view = name
    plain = isinstance(kind, Name) and isinstance(key, (str, int)) and isinstance(length, int)
    if not plain or any(part is not None for part in view):
        raise BadPickle("it holds a storage of an unknown form")
    return Storage(kind.name, str(key), length)


def _made(called: Any, arguments: Any) -> Any:
    """What a call of `called` stands for: a tensor, a container, or an `Unknown`."""
    if isinstance(called, Unknown):
        called = called.name
    if not isinstance(called, (Name, str)) or not isinstance(arguments, (tuple, list)):
        raise BadPickle("it calls something that has no name")
    make = MADE.get(str(called))
    return make(*arguments) if make else Unknown(str(called), tuple(arguments))


def _tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, _grad: Any = None, _hooks: Any = None, *more: Any
) -> StoredTensor | Unknown:
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or not all(type(number) is int for number in numbers):
        raise BadPickle("it holds a tensor of an unknown form")
    dtype = more[0].name if more and isinstance(more[0], Name) else None
    return StoredTensor(storage, offset, tuple(shape), tuple(stride), dtype)


def _of_subclass(called: Any, _class: Any, arguments: Any, _state: Any) -> Any:
    return _made(called, arguments)


MADE: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda pairs=(): _dictionary(pairs),
    "collections.defaultdict": lambda *_: {},
    "builtins.dict": lambda pairs=(): _dictionary(pairs),
    "builtins.set": lambda items=(): list(items),
    "__builtin__.set": lambda items=(): list(items),
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
    "torch._tensor._rebuild_from_type_v2": _of_subclass,
    "torch.jit._pickle.build_intlist": lambda items: items,
    "torch.jit._pickle.build_doublelist": lambda items: items,
    "torch.jit._pickle.build_boollist": lambda items: items,
    "torch.jit._pickle.build_tensorlist": lambda items: items,
    "torch.jit._pickle.restore_type_tag": lambda value, _type: value,
}
