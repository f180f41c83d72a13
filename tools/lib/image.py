"""Builds Weft's container images without a container engine, and tries them out.

An image is a root file system of our stripped programs and of what they load, taken from the Debian packages of this machine,
whose files are compared with what the packages brought. The same sources and packages give the same digests.

DIR/NAME is an OCI image layout ("skopeo copy oci:DIR/NAME:TAG ..."), DIR/NAME-TAG.tar the same in one file ("ctr images import",
"kind load image-archive").
"""

import argparse
import dataclasses
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile

import bazel
import image_smoke
import terminal
from image_debian import Debian, ImageError
from image_oci import Layout
from image_root import Root

_USER = "1337:1337"
_PATH = "/usr/sbin:/usr/bin"


@dataclasses.dataclass(frozen=True)
class Image:
    """What an image is made of; the first program is its entry point."""

    title: str
    programs: dict  # path in the image: Bazel target
    iptables: bool = False


IMAGES = {
    "sidecar": Image("The proxy beside a pod's application, and the program that sends the pod's traffic to it",
                     {"/usr/bin/weft-sidecar": "//sidecar:weft-sidecar",
                      "/usr/bin/weft-init": "//injector/init:weft-init"}, iptables=True),
    "control-plane": Image("The control plane of the Weft service mesh",
                           {"/usr/bin/weft-control-plane": "//control-plane:weft-control-plane"}),
    "injector": Image("The admission webhook that puts sidecars into pods",
                      {"/usr/bin/weft-injector": "//injector:weft-injector"}),
}


def version():
    with open(os.path.join(bazel.ROOT, "base/version.h"), encoding="utf-8") as file:
        return re.search(r'kVersion = "([^"]+)"', file.read()).group(1)


def created():
    """$SOURCE_DATE_EPOCH, else when the version was given its number."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or subprocess.run(
        ["git", "log", "-1", "--format=%ct", "--", "base/version.h"], cwd=bazel.ROOT, stdout=subprocess.PIPE,
        text=True, check=True).stdout.strip() or "0"
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def built(target, binaries):
    """The file that Bazel makes of a target, in a directory of such files."""
    path = os.path.join(binaries, target.removeprefix("//").replace(":", "/"))
    if not os.path.exists(path):
        raise ImageError(f"{path} is missing: build {target}")
    return path


def stripped(program):
    """The program without symbols and debugging information."""
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "stripped")
        subprocess.run(["llvm-strip-19", "--strip-all", "-o", out, program], check=True)
        with open(out, "rb") as file:
            return file.read()


def layers_of(image, binaries):
    """(what, entries) from the lowest: what changes with Debian, and what changes with Weft."""
    lower, upper = Root(), Root()
    lower.add_base()
    if image.iptables:
        lower.add_package("iptables", r"/usr/sbin/ip6?tables-(nft|legacy)(-save|-restore)?",
                          r"/usr/lib/[^/]+/xtables/.*\.so")
    for path, target in image.programs.items():
        program = built(target, binaries)
        both = Root()
        both.add_program(path, program, stripped(program))
        upper.entries[path] = both.entries.pop(path)
        lower.entries = {**both.entries, **lower.entries}
    with open(os.path.join(bazel.ROOT, "LICENSE"), "rb") as file:
        lower.add_content("/usr/share/doc/weft/copyright", file.read())
    return [("Debian", lower.entries), ("Weft", upper.entries)]


def build(name, output, binaries, registry):
    """Writes one image; returns a line about it."""
    image, tag = IMAGES[name], version()
    layout_path, archive = os.path.join(output, name), os.path.join(output, f"{name}-{tag}.tar")
    shutil.rmtree(layout_path, ignore_errors=True)
    layout = Layout(layout_path)
    when = created()
    config = {
        "User": _USER, "Env": [f"PATH={_PATH}"], "WorkingDir": "/", "Entrypoint": [next(iter(image.programs))],
        "Labels": {"org.opencontainers.image.title": f"weft/{name}", "org.opencontainers.image.version": tag,
                   "org.opencontainers.image.description": image.title,
                   "org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.created": when},
    }
    digest, compressed, uncompressed = layout.write(
        layers_of(image, binaries), config, architecture=Debian.architecture(), created=when, tag=tag,
        name="/".join(filter(None, [registry.rstrip("/"), f"weft/{name}:{tag}"])))
    layout.archive(archive)
    return f"weft/{name}:{tag}  {compressed / 1e6:.1f} MB, unpacked {uncompressed / 1e6:.1f} MB  {digest}"


def main():
    parser = argparse.ArgumentParser(prog="tools/image", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, metavar="DIR", help="where the images go")
    parser.add_argument("--registry", default="", metavar="HOST/PATH",
                        help="in front of the images' names, as the chart's image.registry")
    parser.add_argument("--binaries", metavar="DIR",
                        help="a bazel-bin with the programs; without it they are built for release")
    parser.add_argument("--no-smoke-test", dest="smoke_test", action="store_false",
                        help="do not run the programs inside the unpacked images (which needs root)")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"{', '.join(IMAGES)}; all without it")
    arguments = parser.parse_args()
    unknown = set(arguments.images) - set(IMAGES)
    if unknown:
        parser.error(f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    names = arguments.images or list(IMAGES)
    os.makedirs(arguments.output, exist_ok=True)
    try:
        if not arguments.binaries:
            targets = [target for name in names for target in IMAGES[name].programs.values()]
            if bazel.call("build", "--config=release", *targets) != 0:
                raise ImageError("the programs cannot be built")
            arguments.binaries = bazel.info("bazel-bin", "--config=release")
        for name in names:
            terminal.tick(build(name, arguments.output, arguments.binaries, arguments.registry))
            if arguments.smoke_test:
                for line in image_smoke.run(name, os.path.join(arguments.output, name), version()):
                    terminal.say(line)
    except ImageError as error:
        terminal.cross(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
