"""OCI image layouts (OCI Image Format 1.0), written so that the same content gives the same bytes and digests."""

import gzip
import hashlib
import io
import json
import os
import tarfile

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def _digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer_tar(entries):
    """A layer of these entries: sorted, of root, and of no time."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in sorted(entries.items()):
            info = tarfile.TarInfo(path.lstrip("/"))
            info.mode = entry.mode
            if entry.is_directory:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif entry.link is not None:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
                tar.addfile(info)
            else:
                info.size = len(entry.content)
                tar.addfile(info, io.BytesIO(entry.content))
    return stream.getvalue()


class Layout:
    """A directory in OCI's image layout with one image in it."""

    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "blobs/sha256"), exist_ok=True)

    def _add_blob(self, media_type, content):
        digest = _digest(content)
        with open(os.path.join(self.path, "blobs", digest.replace(":", "/")), "wb") as file:
            file.write(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _add_json(self, media_type, document):
        return self._add_blob(media_type, json.dumps(document, sort_keys=True, separators=(",", ":")).encode())

    def write(self, layers, config, *, architecture, created, tag, name):
        """Writes the image and returns (digest of its manifest, bytes compressed, bytes uncompressed).

        `layers` are (what, entries) from the lowest; `created` is a time in RFC 3339; `name` is what container runtimes call the
        image when they import it.
        """
        described, diff_ids, history = [], [], []
        compressed = uncompressed = 0
        for what, entries in layers:
            tar = layer_tar(entries)
            blob = self._add_blob(_LAYER, gzip.compress(tar, 9, mtime=0))
            described.append(blob)
            diff_ids.append(_digest(tar))
            history.append({"created": created, "created_by": "tools/image", "comment": what})
            compressed += blob["size"]
            uncompressed += len(tar)
        manifest = self._add_json(_MANIFEST, {
            "schemaVersion": 2, "mediaType": _MANIFEST, "layers": described,
            "config": self._add_json(_CONFIG, {
                "created": created, "architecture": architecture, "os": "linux", "config": config,
                "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history})})
        index = {"schemaVersion": 2, "manifests": [dict(
            manifest, platform={"architecture": architecture, "os": "linux"},
            annotations={"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": name})]}
        self._write("index.json", index)
        self._write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        return manifest["digest"], compressed, uncompressed

    def _write(self, file_name, document):
        with open(os.path.join(self.path, file_name), "w", encoding="utf-8") as file:
            json.dump(document, file, sort_keys=True, separators=(",", ":"))

    def archive(self, path):
        """The layout as one file, which runtimes import."""
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for folder, folders, files in os.walk(self.path):
                folders.sort()
                for file_name in sorted(files):
                    full = os.path.join(folder, file_name)
                    info = tarfile.TarInfo(os.path.relpath(full, self.path))
                    info.size, info.mode = os.path.getsize(full), 0o644
                    with open(full, "rb") as file:
                        tar.addfile(info, file)
