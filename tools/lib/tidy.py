"""clang-tidy over the C++ sources of our programs, with the flags that they are compiled with.

A file whose text, headers, flags and checks are as they were when it last passed is not checked again.
"""

import concurrent.futures
import hashlib
import os
import subprocess

import bazel

_TIDY = "clang-tidy-19"
_FLAGS_OF_BUILD_ONLY = {"-MD", "-c"}
_FLAGS_WITH_VALUE = {"-MF", "-o"}

# Programs of users are checked; their tests have warnings as errors and sanitizers, and that must do.
_LEFT_OUT = ("_test.cc", "_benchmark.cc", "_fuzz.cc", "/testing.cc")


def _cache_directory():
    home = os.environ.get("WEFT_CACHE") or os.path.expanduser("~/.cache/weft")
    path = os.path.join(home, "tidy")
    os.makedirs(path, exist_ok=True)
    return path


def _frontend_flags(arguments, source):
    """The compiler's arguments without the compiler, the source and the outputs."""
    flags, skip = [], False
    for argument in arguments[1:]:
        if skip:
            skip = False
        elif argument in _FLAGS_WITH_VALUE:
            skip = True
        elif argument not in _FLAGS_OF_BUILD_ONLY and argument != source \
                and not argument.startswith("-frandom-seed"):
            flags.append(argument)
    return flags


def _fingerprint(source, flags, dependencies, execution_root, configuration):
    """Of all that the outcome depends on; None if the compiler has not told what that is."""
    try:
        with open(os.path.join(execution_root, dependencies)) as file:
            headers = file.read().replace("\\\n", " ").split()[1:]
    except (OSError, TypeError):
        return None
    digest = hashlib.sha256(configuration)
    digest.update("\0".join([source, *flags]).encode())
    for header in sorted(set(headers)):
        path = os.path.join(execution_root, header)
        try:
            if header.startswith("/"):  # the system's: changes with its package
                digest.update(f"{header} {os.stat(path).st_mtime_ns}".encode())
            else:
                with open(path, "rb") as file:
                    digest.update(hashlib.sha256(file.read()).digest())
        except OSError:
            return None
    return digest.hexdigest()


def _check(source, flags, fingerprint, execution_root):
    """(source, complaints); complaints are empty if there are none."""
    stamp = os.path.join(_cache_directory(), fingerprint) if fingerprint else None
    if stamp and os.path.exists(stamp):
        os.utime(stamp)
        return source, ""
    done = subprocess.run([_TIDY, "--quiet", f"--config-file={bazel.ROOT}/.clang-tidy",
                           os.path.join(bazel.ROOT, source), "--", *flags], cwd=execution_root,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        if stamp:
            open(stamp, "w").close()
        return source, ""
    # Standard error has only the count of warnings from headers of others, unless it failed altogether.
    return source, done.stdout or done.stderr


def run(jobs=2):
    """Checks every source; prints the complaints. Returns (passed, failed) files."""
    execution_root = bazel.info("execution_root")
    with open(os.path.join(bazel.ROOT, ".clang-tidy"), "rb") as file:
        configuration = file.read()
    configuration += subprocess.run([_TIDY, "--version"], stdout=subprocess.PIPE, check=True).stdout
    sources = {}
    for source, arguments, dependencies in bazel.compile_actions(bazel.everything()):
        if source.startswith(("external/", "bazel-out/")) or source.endswith(_LEFT_OUT) \
                or source in sources:
            continue
        flags = _frontend_flags(arguments, source)
        sources[source] = (flags, _fingerprint(source, flags, dependencies, execution_root,
                                               configuration))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        checks = [pool.submit(_check, source, flags, fingerprint, execution_root)
                  for source, (flags, fingerprint) in sorted(sources.items())]
        for check in concurrent.futures.as_completed(checks):
            source, complaints = check.result()
            passed += not complaints
            failed += bool(complaints)
            if complaints:
                print(f"{source}:\n{complaints}", flush=True)
    return passed, failed
