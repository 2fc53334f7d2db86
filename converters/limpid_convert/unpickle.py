"""A pickle reader that builds plain values and runs nothing.

It is its own small stack machine, not a subclass of `pickle.Unpickler`: every opcode that checkpoints need is
listed here, every other one is refused, a name in the file is only ever a key of the caller's allow-list, and the
work done is bounded by the size of the file and a budget.
"""

from __future__ import annotations

import struct

from limpid_convert.element_types import ElementType
from limpid_convert.errors import ConversionError

#: Opcodes, and values copied by constructors, that one pickle may cost. A checkpoint of 1000 tensors with optimizer
#: state takes about 100 000; this bounds memory to well under a gigabyte.
BUDGET = 4_000_000

#: Bytes of an integer: nothing in a checkpoint is larger (torch's magic number has 10).
LONGEST_INTEGER = 32

_KEY_TYPES = (str, int, float, bool, bytes, type(None))
_LARGEST_KEY, _DEEPEST_KEY = 64, 4


class Constructor:
    """A function that a checkpoint may call: `build(args, spend)` makes a plain value from plain values.

    `spend(n)` charges the pickle's budget; a constructor that copies n values calls it first. `new()` makes an object
    of a class, of no arguments unless `takes_arguments`; then it is `build`.
    """

    def __init__(self, name, build, new=None, takes_arguments=False):
        self.name, self.build, self.new, self.takes_arguments = name, build, new, takes_arguments


class Inert:
    """A value that accepts pickled state. `set_state` keeps it as data. As a dictionary's key it is itself only."""

    __slots__ = ()

    def set_state(self, state):
        raise NotImplementedError


class Collection(list):
    """A set, deque or other list of values that need not be hashed: `kind` says what it was."""

    __slots__ = ("kind",)
    __hash__ = object.__hash__

    def __init__(self, kind, values=()):
        super().__init__(values)
        self.kind = kind


class Machine:
    """Reads one pickle out of `data`, from `position` on; afterwards `position` is just behind it.

    lookup(module, name): the value that stands for a global name, or an error.
    persistent(id): the value for a persistent id (torch: a storage).
    """

    def __init__(self, data, lookup, persistent, position=0, budget=BUDGET):
        self.data, self.lookup, self.persistent = data, lookup, persistent
        self.position, self.budget = position, budget
        self.stack, self.marks, self.memo = [], [], {}

    def load(self):
        """The pickled value. Raises ConversionError for anything malformed or not allowed."""
        while True:
            self._spend(1)
            code = self._take(1)[0]
            if code == 0x2E:  # STOP
                return self._pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise ConversionError(
                    f"the checkpoint uses pickle opcode 0x{code:02x} at byte {self.position - 1}, which no torch "
                    "checkpoint needs; it is damaged or made by another program"
                )
            operation(self)

    def _spend(self, amount):
        self.budget -= amount
        if self.budget < 0:
            raise ConversionError("the checkpoint's pickle is unreasonably large; limpid-convert stopped reading")

    def _take(self, count):
        chunk = self.data[self.position : self.position + count]
        if len(chunk) != count:
            raise ConversionError("the checkpoint ends in the middle of its pickled part; it is cut short")
        self.position += count
        return bytes(chunk)

    def _unsigned(self, size):
        return int.from_bytes(self._take(size), "little")

    def _push(self, value):
        self.stack.append(value)

    def _malformed(self, why):
        return ConversionError(f"the checkpoint's pickle is malformed near byte {self.position}: {why}")

    def _pop(self):
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) <= floor:
            raise self._malformed("a value is missing")
        return self.stack.pop()

    def _pop_mark(self):
        if not self.marks:
            raise self._malformed("a mark is missing")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _top(self, kind):
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) <= floor or not isinstance(self.stack[-1], kind):
            raise self._malformed(f"a {kind.__name__} is missing")
        return self.stack[-1]

    # Opcodes. Each takes its operand from the data and its arguments from the stack.

    def _protocol(self):
        version = self._unsigned(1)
        if not 2 <= version <= 5:
            raise ConversionError(f"the checkpoint uses pickle protocol {version}; torch writes 2 to 5")

    def _text(self, size):
        try:
            self._push(self._take(self._unsigned(size)).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise self._malformed("a string is not UTF-8") from None

    def _python2_text(self, size):
        self._push(self._take(self._unsigned(size)).decode("latin-1"))

    def _bytes(self, size):
        self._push(self._take(self._unsigned(size)))

    def _long(self, size):
        count = self._unsigned(size)
        if count > LONGEST_INTEGER:
            raise self._malformed(f"an integer of {count} bytes")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    def _tuple(self, count):
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _append(self):
        value = self._pop()
        self._top(list).append(value)

    def _appends(self):
        values = self._pop_mark()
        self._top(list).extend(values)

    def _frozen_set(self):
        self._push(Collection("frozenset", self._pop_mark()))

    def _set_item(self):
        value, key = self._pop(), self._pop()
        self._store([key, value])

    def _set_items(self):
        self._store(self._pop_mark())

    def _store(self, values):
        target = self._top(dict)
        if len(values) % 2:
            raise self._malformed("a dictionary key without a value")
        for key, value in zip(values[::2], values[1::2]):
            target[plain_key(key)] = value

    def _put(self, index):
        if not self.stack:
            raise self._malformed("nothing to remember")
        self.memo[index] = self.stack[-1]

    def _get(self, index):
        if index not in self.memo:
            raise self._malformed(f"value {index} was never remembered")
        self._push(self.memo[index])

    def _global(self):
        names = [self._line(), self._line()]
        self._push(self.lookup(*names))

    def _line(self):
        end = self.data.find(b"\n", self.position, self.position + 1024)
        if end < 0:
            raise self._malformed("a name without end")
        text = self._take(end + 1 - self.position)[:-1]
        return text.decode("utf-8", "replace")

    def _stack_global(self):
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise self._malformed("a global name that is not text")
        self._push(self.lookup(module, name))

    def _reduce(self):
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Constructor) or type(arguments) is not tuple:
            raise self._malformed("a call of something that is no function")
        self._push(function.build(arguments, self._spend))

    def _new_object(self):
        arguments, kind = self._pop(), self._pop()
        if isinstance(kind, Constructor) and kind.takes_arguments and type(arguments) is tuple:
            return self._push(kind.build(arguments, self._spend))
        if not isinstance(kind, Constructor) or kind.new is None or arguments != ():
            raise self._malformed("an object of something that is no class")
        self._push(kind.new())

    def _build(self):
        state = self._pop()
        if not self.stack:
            raise self._malformed("state without an object")
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.set_state(state)
        elif type(target) not in (dict, Collection):  # attributes (torch: `_metadata` of a dict) mean nothing to us
            raise self._malformed(f"state for a {type(target).__name__}")


def plain_key(key):
    """`key`, if it may be a dictionary's key: hashing a deeply nested tuple would exhaust the C stack."""
    if not _is_key(key, _DEEPEST_KEY):
        raise ConversionError(f"the checkpoint has a dictionary key of type {type(key).__name__}, not text or a number")
    return key


def _is_key(key, depth):
    if type(key) is tuple:
        return depth > 0 and len(key) <= _LARGEST_KEY and all(_is_key(k, depth - 1) for k in key)
    return type(key) in _KEY_TYPES or isinstance(key, (Inert, Collection, Constructor, ElementType))


_OPERATIONS = {
    0x80: Machine._protocol,
    0x95: lambda m: m._take(8),  # FRAME
    0x28: lambda m: m.marks.append(len(m.stack)),  # MARK
    0x30: lambda m: m._pop(),  # POP
    0x31: lambda m: m._pop_mark(),  # POP_MARK
    0x4E: lambda m: m._push(None),  # NONE
    0x88: lambda m: m._push(True),  # NEWTRUE
    0x89: lambda m: m._push(False),  # NEWFALSE
    0x4A: lambda m: m._push(int.from_bytes(m._take(4), "little", signed=True)),  # BININT
    0x4B: lambda m: m._push(m._unsigned(1)),  # BININT1
    0x4D: lambda m: m._push(m._unsigned(2)),  # BININT2
    0x8A: lambda m: m._long(1),  # LONG1
    0x8B: lambda m: m._long(4),  # LONG4
    0x47: lambda m: m._push(struct.unpack(">d", m._take(8))[0]),  # BINFLOAT
    0x8C: lambda m: m._text(1),  # SHORT_BINUNICODE
    0x58: lambda m: m._text(4),  # BINUNICODE
    0x8D: lambda m: m._text(8),  # BINUNICODE8
    0x55: lambda m: m._python2_text(1),  # SHORT_BINSTRING
    0x54: lambda m: m._python2_text(4),  # BINSTRING
    0x43: lambda m: m._bytes(1),  # SHORT_BINBYTES
    0x42: lambda m: m._bytes(4),  # BINBYTES
    0x8E: lambda m: m._bytes(8),  # BINBYTES8
    0x96: lambda m: m._bytes(8),  # BYTEARRAY8
    0x5D: lambda m: m._push([]),  # EMPTY_LIST
    0x8F: lambda m: m._push(Collection("set")),  # EMPTY_SET
    0x90: Machine._appends,  # ADDITEMS
    0x91: Machine._frozen_set,  # FROZENSET
    0x61: Machine._append,  # APPEND
    0x65: Machine._appends,  # APPENDS
    0x7D: lambda m: m._push({}),  # EMPTY_DICT
    0x73: Machine._set_item,  # SETITEM
    0x75: Machine._set_items,  # SETITEMS
    0x29: lambda m: m._push(()),  # EMPTY_TUPLE
    0x85: lambda m: m._tuple(1),  # TUPLE1
    0x86: lambda m: m._tuple(2),  # TUPLE2
    0x87: lambda m: m._tuple(3),  # TUPLE3
    0x74: lambda m: m._push(tuple(m._pop_mark())),  # TUPLE
    0x71: lambda m: m._put(m._unsigned(1)),  # BINPUT
    0x72: lambda m: m._put(m._unsigned(4)),  # LONG_BINPUT
    0x94: lambda m: m._put(len(m.memo)),  # MEMOIZE
    0x68: lambda m: m._get(m._unsigned(1)),  # BINGET
    0x6A: lambda m: m._get(m._unsigned(4)),  # LONG_BINGET
    0x63: Machine._global,  # GLOBAL
    0x93: Machine._stack_global,  # STACK_GLOBAL
    0x51: lambda m: m._push(m.persistent(m._pop())),  # BINPERSID
    0x52: Machine._reduce,  # REDUCE
    0x81: Machine._new_object,  # NEWOBJ
    0x62: Machine._build,  # BUILD
}
