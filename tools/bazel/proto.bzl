"""C++ from .proto files with Debian's protoc and gRPC plugin."""

def _out(src, suffix):
    return src[:-len(".proto")] + suffix

def cc_proto(name, srcs, grpc_srcs = [], deps = [], import_srcs = [], visibility = None):
    """A C++ library of messages and, for grpc_srcs, of gRPC stubs.

    Args:
      name: the library; include its headers by the path of the .proto from its package.
      srcs: .proto files of this package (grpc_srcs among them).
      grpc_srcs: those that declare services.
      deps: other cc_proto libraries whose headers the generated code includes.
      import_srcs: labels of .proto files outside this package that srcs import.
      visibility: as everywhere.
    """
    outs = []
    for src in srcs:
        outs += [_out(src, ".pb.h"), _out(src, ".pb.cc")]
    for src in grpc_srcs:
        outs += [_out(src, ".grpc.pb.h"), _out(src, ".grpc.pb.cc")]
    # Imports start at the package: "weft/v1/x.proto" in api/, "envoy/..." in @envoy_api.
    package = native.package_name()
    repository = native.repository_name()[1:]
    root = "external/" + repository if repository else "."
    if package:
        root = package if root == "." else root + "/" + package
    out_root = "$(GENDIR)" if root == "." else "$(GENDIR)/" + root
    paths = " ".join(["$(location %s)" % s for s in srcs])
    grpc_paths = " ".join(["$(location %s)" % s for s in grpc_srcs])
    cmd = "protoc -I%s -I/usr/include --cpp_out=%s %s" % (root, out_root, paths)
    if grpc_srcs:
        cmd += " && protoc -I%s -I/usr/include --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=%s %s" % (
            root, out_root, grpc_paths,
        )
    native.genrule(
        name = name + "_gen",
        srcs = srcs + import_srcs,
        outs = outs,
        cmd = cmd,
    )
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-w"],
        includes = ["."],
        visibility = visibility,
        deps = deps + ["@debian//:protobuf"],
    )
