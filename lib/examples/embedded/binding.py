# SPDX-License-Identifier: MIT
"""
Python, by cffi: contexts, and a loop of Python's own over a queue's descriptor.

Usage: binding.py CDEF LIBRARY: share/deadline/deadline.cdef and libdeadline.so.0

A word is asked from Python by a call of the library's; C code that Python calls, which
runs for long, gets the word's address and asks it itself.
"""
import selectors
import sys

import cffi

ffi = cffi.FFI()
with open(sys.argv[1], encoding="utf-8") as cdef:
    ffi.cdef(cdef.read())
lib = ffi.dlopen(sys.argv[2])
MS = 1000000
told = failed = 0


class Context:
    """What was made is released when Python forgets it, or at the end of a with."""

    def __init__(self, ns, parent=None, cause=0):
        above = parent.context if parent else lib.deadline_background()
        made = ffi.new("deadline_context **")
        check(lib.deadline_with_timeout(above, cause, made, ns))
        self.context = ffi.gc(made[0], lib.deadline_release)
        self.word = lib.deadline_context_word(self.context)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        ffi.release(self.context)

    def over(self):
        return lib.deadline_over(self.word)

    def error(self):
        return ffi.string(lib.deadline_strerror(lib.deadline_err(self.context))).decode()


def check(ret):
    if ret < 0:
        raise OSError(-ret, ffi.string(lib.deadline_strerror(ret)).decode())
    return ret


def tell(good, what):
    global told, failed
    told += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {told} - {what}")


def contexts():
    with Context(3600000 * MS) as parent:
        with Context(5 * MS, parent) as child:
            while not child.over():
                pass
            tell(child.error() == "the deadline came" and not parent.over(),
                 "a loop ends at its deadline")
        check(lib.deadline_cancel(parent.context, 7))
        tell(parent.error() == "canceled" and lib.deadline_cause(parent.context) == 7,
             "a cancel has its cause")
    try:
        check(lib.deadline_cancel(lib.deadline_background(), 0))
    except OSError as error:
        tell(error.errno == 22, "what fails raises")
    tell(lib.deadline_remaining(lib.deadline_background()) == lib.DEADLINE_NEVER,
         "what has no deadline has all time left")


def loop():
    opened = ffi.new("deadline_queue **")
    check(lib.deadline_queue_open(opened, ffi.NULL))
    queue = ffi.gc(opened[0], lib.deadline_queue_destroy)
    records = ffi.new("struct deadline_record[64]")
    selector = selectors.DefaultSelector()
    selector.register(lib.deadline_queue_fd(queue), selectors.EVENT_READ)
    slot = ffi.new("deadline_slot **")
    for number in range(100):
        check(lib.deadline_slot_alloc(queue, number, slot))
        check(lib.deadline_slot_arm(slot[0], 0, lib.deadline_in(number * MS // 10)))
    came, early = set(), 0
    while len(came) < 100:
        selector.select()
        for i in range(check(lib.deadline_queue_reap(queue, records, 64))):
            came.add(records[i].user_data)
            early += records[i].expired_at < records[i].when
    tell(not early, "a loop of Python's has 100 deadlines from one descriptor")


contexts()
loop()
print(f"1..{told}")
sys.exit(failed != 0)
