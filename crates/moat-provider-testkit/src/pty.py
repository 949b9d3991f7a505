import fcntl, os, pty, select, signal, struct, sys, termios, time

signal.alarm(100)  # Nothing hangs for ever.


def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def start(*words):
    pid, fd = pty.fork()
    if pid == 0:
        size(0, 33, 101)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # A runner in the background ignores it.
        os.execv(sys.argv[1], [*sys.argv[1:], *words])
    return pid, fd


seen = ""


def expect(fd, what):
    global seen
    limit = time.monotonic() + 30
    while what not in seen:
        if not select.select([fd], [], [], max(0, limit - time.monotonic()))[0]:
            sys.exit("no %r in %r" % (what, seen))
        try:
            seen += os.read(fd, 4096).decode()
        except OSError:
            sys.exit("ended: no %r in %r" % (what, seen))
    seen = seen[seen.index(what) + len(what) :]


def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


