"""The root file system of an image: a description of what is to be in it, from which layers are written.

It holds what the programs load and call, and no more: no shell, no package manager. What comes from Debian is recorded as
images without a package manager do it, in /var/lib/dpkg/status.d, so that scanners know the packages and their versions.
"""

import dataclasses
import glob
import os
import stat

from image_debian import Debian, ImageError, merged

_DIRECTORIES = {
    "/dev": 0o755, "/etc": 0o755, "/proc": 0o755, "/run": 0o755, "/sys": 0o755, "/tmp": 0o1777,
    "/usr": 0o755, "/usr/bin": 0o755, "/usr/lib": 0o755, "/usr/lib64": 0o755, "/usr/sbin": 0o755, "/var": 0o755,
}
_LINKS = {"/bin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64", "/sbin": "usr/sbin",
          "/var/run": "/run"}
_TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                   "weft:x:1337:1337:Weft:/nonexistent:/usr/sbin/nologin\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nweft:x:1337:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_AUTHORITIES = "/usr/share/ca-certificates/mozilla/*.crt"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One path of an image: a directory, a link or a file. Everything belongs to root."""

    mode: int
    link: str = None
    content: bytes = None

    @property
    def is_directory(self):
        return self.link is None and self.content is None


class Root:
    """Entries by path."""

    def __init__(self, debian=None):
        self._debian = debian or Debian()
        self.entries = {}

    def add_base(self):
        """What every image has: directories, users, certificate authorities."""
        for path, mode in _DIRECTORIES.items():
            self.entries[path] = Entry(mode)
        for path, link in _LINKS.items():
            self.entries[path] = Entry(0o777, link=link)
        for path, text in _TEXTS.items():
            self.add_content(path, text.encode())
        bundle = b""
        for path in sorted(glob.glob(_AUTHORITIES)):
            self._record(self._debian.package_of(path))
            with open(path, "rb") as file:
                bundle += file.read().rstrip(b"\n") + b"\n"
        if not bundle:
            raise ImageError("the Debian package ca-certificates is not installed (tools/setup)")
        self.add_content("/etc/ssl/certs/ca-certificates.crt", bundle)

    def add_content(self, path, content, mode=0o644):
        """A file, and the directories above it."""
        self._add_parents(path)
        self.entries[path] = Entry(mode, content=content)

    def add_program(self, path, program, content):
        """A program of ours with this content, and from Debian what `program` loads."""
        self.add_content(path, content, 0o755)
        self._add_libraries(program)

    def add_package(self, package, *patterns):
        """Those files of a Debian package whose paths match, and the libraries that they load."""
        found = [path for pattern in patterns for path in self._debian.files_of(package, pattern)]
        if not found:
            raise ImageError(f"the Debian package {package} has none of {', '.join(patterns)}")
        for path in found:
            self._add_from_debian(path)
            self._add_libraries(os.path.realpath(path))

    def _add_libraries(self, program):
        for library in self._debian.libraries_of(program):
            self._add_from_debian(library)

    def _add_from_debian(self, path):
        """A file, or a link and what it leads to."""
        if path in self.entries:
            return
        self._add_parents(path)
        if os.path.islink(path):
            target = os.readlink(path)
            if target.startswith("/etc/alternatives/"):
                raise ImageError(f"{path} leads to an alternative, which differs from machine to machine")
            self.entries[path] = Entry(0o777, link=target)
            self._add_from_debian(merged(os.path.normpath(os.path.join(os.path.dirname(path), target))))
            return
        self._record(self._debian.package_of(path))
        with open(path, "rb") as file:
            executable = os.fstat(file.fileno()).st_mode & stat.S_IXUSR
            self.entries[path] = Entry(0o755 if executable else 0o644, content=file.read())

    def _record(self, package):
        """Notes the package and its licence."""
        record = f"/var/lib/dpkg/status.d/{package}"
        if record in self.entries:
            return
        self.add_content(record, self._debian.stanza(package).encode())
        copyright_file = os.path.realpath(f"/usr/share/doc/{package}/copyright")
        with open(copyright_file, "rb") as file:
            self.add_content(f"/usr/share/doc/{package}/copyright", file.read())

    def _add_parents(self, path):
        parent = os.path.dirname(path)
        if parent not in self.entries and parent != "/":
            self._add_parents(parent)
            self.entries[parent] = Entry(0o755)
