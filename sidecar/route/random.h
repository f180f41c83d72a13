// Random numbers for choices that are made on every request: among backends, among endpoints.
#ifndef WEFT_SIDECAR_ROUTE_RANDOM_H_
#define WEFT_SIDECAR_ROUTE_RANDOM_H_

#include <cstdint>
#include <limits>

namespace weft::route {

// floor(random / 2^64 * bound): maps a uniform 64-bit number to [0, bound). Each result's
// probability differs from 1/bound by less than 2^-64. `bound` must not be 0.
constexpr uint64_t Scale(uint64_t random, uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(random) * bound) >> 64);
}

// The generator xoshiro256++ of Blackman and Vigna: a few instructions a number, not for secrets.
// One thread; every worker has its own. Also a standard UniformRandomBitGenerator.
class Random {
 public:
  using result_type = uint64_t;

  // Seeded by the kernel (getrandom).
  Random();
  // The same numbers for the same seed.
  explicit Random(uint64_t seed);

  uint64_t operator()() {
    const uint64_t result = Rotate(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound); `bound` must not be 0.
  uint64_t Below(uint64_t bound) { return Scale((*this)(), bound); }

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

 private:
  static constexpr uint64_t Rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
  }

  void Seed(uint64_t seed);

  uint64_t state_[4];
};

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_RANDOM_H_
