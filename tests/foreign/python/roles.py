"""What the clients for Python have in common: their lines, and when to end. See doc.go of the folder above."""
import sys
import threading

closed = threading.Event()  # set when standard input has closed
_lock = threading.Lock()


def watch_stdin():
    def wait():
        sys.stdin.buffer.read()
        closed.set()

    threading.Thread(target=wait, daemon=True).start()


def say(*words):
    with _lock:
        print(*words, flush=True)


def owns(partitions):
    say("owns", ",".join(str(p) for p in sorted(partitions)))


def must(cond, *what):
    if not cond:
        raise AssertionError(" ".join(str(w) for w in what))
