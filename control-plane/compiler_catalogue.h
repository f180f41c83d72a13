// The compiler as discovery's catalogue.
#ifndef WEFT_CONTROL_PLANE_COMPILER_CATALOGUE_H_
#define WEFT_CONTROL_PLANE_COMPILER_CATALOGUE_H_

#include <optional>
#include <string_view>

#include "control-plane/compile/compiler.h"
#include "control-plane/discovery/catalogue.h"

namespace weft {

// `compiler` must outlive it.
class CompilerCatalogue final : public discovery::Catalogue {
 public:
  explicit CompilerCatalogue(compile::Compiler& compiler) : compiler_(compiler) {}

  discovery::ResourcePtr Get(const compile::ResourceKey& key) override {
    return compiler_.Get(key);
  }
  void Release(const compile::ResourceKey& key) override { compiler_.Release(key); }
  std::optional<SpiffeId> IdentityOf(std::string_view workload) const override {
    return compiler_.IdentityOf(workload);
  }

 private:
  compile::Compiler& compiler_;
};

}  // namespace weft

#endif  // WEFT_CONTROL_PLANE_COMPILER_CATALOGUE_H_
