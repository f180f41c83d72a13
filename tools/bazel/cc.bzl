"""Our C++ rules: warnings are errors, headers are included by their path from the workspace root."""

COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
    "-Wno-unused-parameter",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wextra-semi",
    "-Wunreachable-code",
    "-Wno-deprecated-declarations",
]

def weft_cc_library(name, copts = [], **kwargs):
    native.cc_library(name = name, copts = COPTS + copts, linkstatic = True, **kwargs)

def weft_cc_binary(name, copts = [], **kwargs):
    native.cc_binary(name = name, copts = COPTS + copts, linkstatic = True, **kwargs)

def weft_cc_test(name, copts = [], deps = [], **kwargs):
    native.cc_test(
        name = name,
        copts = COPTS + copts,
        linkstatic = True,
        deps = deps + ["@debian//:gtest_main"],
        **kwargs
    )
