"""A parser of foreign bytes and its fuzz target."""

load("//tools/bazel:cc.bzl", "COPTS", "weft_cc_binary", "weft_cc_library")

def weft_fuzz_test(name, srcs, deps, seeds):
    """Declares two programs of what `srcs` fuzz (they define LLVMFuzzerTestOneInput).

    `name` is a test that tries every seed, in every configuration. `name`_fuzzer searches for more
    with libFuzzer; tools/fuzz runs it, or --config=fuzz. Seeds are files of the folder `name`_seeds.
    """
    weft_cc_library(
        name = name + "_target",
        testonly = True,
        srcs = srcs,
        alwayslink = True,
        deps = deps,
    )
    native.cc_test(
        name = name,
        size = "small",
        args = [native.package_name() + "/" + name + "_seeds"],
        copts = COPTS,
        data = seeds,
        linkstatic = True,
        deps = [
            ":" + name + "_target",
            "//base/fuzz:seeds",
        ],
    )
    weft_cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name + "_target"],
    )
