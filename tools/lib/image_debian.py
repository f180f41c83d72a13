"""Files of installed Debian packages: which package a file is of, and that it is still what the package brought."""

import functools
import glob
import hashlib
import os
import re
import subprocess

_STATUS = "/var/lib/dpkg/status"
_INFO = "/var/lib/dpkg/info"
# Directories that are links into /usr since Debian 12; packages may name either path.
_MERGED = re.compile(r"^/(bin|sbin|lib[0-9a-z]*)/")


class ImageError(Exception):
    """An image cannot be made, or is not what it should be; the message says why."""


def merged(path):
    """The path as it is below /usr."""
    return "/usr" + path if _MERGED.match(path) else path


class Debian:
    """The machine's package database, read when it is first asked."""

    @functools.cached_property
    def _stanzas(self):
        with open(_STATUS, encoding="utf-8") as file:
            stanzas = file.read().split("\n\n")
        return {stanza.split("\n", 1)[0].removeprefix("Package: "): stanza.strip() + "\n"
                for stanza in stanzas if stanza.startswith("Package: ")
                and "\nStatus: install ok installed\n" in stanza}

    @functools.cached_property
    def _sums(self):
        """path below /usr -> (package, MD5)."""
        sums = {}
        for path in glob.glob(f"{_INFO}/*.md5sums"):
            package = os.path.basename(path).removesuffix(".md5sums").split(":")[0]
            with open(path, encoding="utf-8") as file:
                for line in file:
                    md5, _, name = line.rstrip("\n").partition("  ")
                    sums[merged("/" + name)] = (package, md5)
        return sums

    @staticmethod
    def architecture():
        """In Debian's words, which for the machines of today are OCI's too."""
        return subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()

    def stanza(self, package):
        """The package's entry in dpkg's status file: name, version, dependencies."""
        return self._stanzas[package]

    def package_of(self, path):
        """The package that a regular file is of. Raises if there is none, or if the file is another now."""
        package, md5 = self._sums.get(merged(path), (None, None))
        if package is None:
            raise ImageError(f"{path} is of no Debian package")
        with open(path, "rb") as file:
            if hashlib.md5(file.read(), usedforsecurity=False).hexdigest() != md5:
                raise ImageError(f"{path} is not what the Debian package {package} brought")
        return package

    def files_of(self, package, pattern):
        """Files and links of an installed package whose path below /usr matches the expression."""
        if package not in self._stanzas:
            raise ImageError(f"the Debian package {package} is not installed (tools/setup)")
        listed = subprocess.run(["dpkg-query", "-L", package], stdout=subprocess.PIPE, text=True,
                                check=True).stdout.splitlines()
        paths = sorted({merged(path) for path in listed})
        return [path for path in paths if re.fullmatch(pattern, path) and not os.path.isdir(path)]

    @staticmethod
    def libraries_of(program):
        """Paths below /usr of the shared libraries that the dynamic linker would load for a program, itself included."""
        done = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            if "not a dynamic executable" in done.stdout or "statically linked" in done.stdout:
                return []
            raise ImageError(f"ldd {program}: {done.stdout.strip()}")
        if "not found" in done.stdout:
            raise ImageError(f"{program} needs a library that is not here:\n{done.stdout}")
        paths = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE)
        return sorted({merged(path) for path in paths})
