"""The native proto rules under the names that rules_proto gives them; Bazel's own tools load them."""

proto_library = native.proto_library
proto_lang_toolchain = native.proto_lang_toolchain
