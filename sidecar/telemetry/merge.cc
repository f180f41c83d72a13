#include "sidecar/telemetry/merge.h"

#include <string>

namespace weft::telemetry {
namespace {

RequestLabels KeyOf(const OwnedLabels& labels, RequestValues*) { return labels.request(); }
TcpLabels KeyOf(const OwnedLabels& labels, TcpValues*) { return labels.tcp(); }

template <typename Map, typename Values>
void Add(Map& map, const std::shared_ptr<const OwnedLabels>& labels, const Values& values) {
  const auto [at, is_new] = map.try_emplace(KeyOf(*labels, static_cast<Values*>(nullptr)));
  if (is_new) at->second.labels = labels;
  at->second.values.Merge(values);
}

template <typename Map, typename Samples>
void MoveRetired(Samples& samples, Map& retired) {
  std::erase_if(samples, [&](const auto& sample) {
    if (sample.retired) Add(retired, sample.labels, sample.values);
    return sample.retired;
  });
}

// Sums up what is live and adds what was retired of it; what is live nowhere is forgotten.
template <typename Values, typename Map>
std::vector<LabelledValues<Values>> Finish(Map live, Map& retired) {
  for (auto at = retired.begin(); at != retired.end();) {
    const auto here = at++;
    const auto found = live.find(here->first);
    if (found == live.end()) {
      const std::shared_ptr<const OwnedLabels> key = here->second.labels;
      retired.erase(here);
    } else {
      found->second.values.Merge(here->second.values);
    }
  }
  std::vector<LabelledValues<Values>> totals;
  totals.reserve(live.size());
  for (auto& [key, total] : live) totals.push_back(std::move(total));
  return totals;
}

}  // namespace

void Merge::TakeRetired(ShardSample& sample) {
  MoveRetired(sample.requests, retired_requests_);
  MoveRetired(sample.tcp, retired_tcp_);
}

Totals Merge::Sum(std::vector<std::unique_ptr<ShardSample>> samples) {
  Map<RequestLabels, RequestValues> requests;
  Map<TcpLabels, TcpValues> tcp;
  Totals totals;
  absl::flat_hash_map<std::string, size_t> named;
  for (const std::unique_ptr<ShardSample>& sample : samples) {
    for (const auto& s : sample->requests) Add(requests, s.labels, s.values);
    for (const auto& s : sample->tcp) Add(tcp, s.labels, s.values);
    for (NamedSample& s : sample->named) {
      std::string key(s.name);
      for (const auto& [label, value] : s.labels) key += '\0' + label + '\0' + value;
      const auto [at, is_new] = named.try_emplace(std::move(key), totals.named.size());
      if (is_new) {
        totals.named.push_back(std::move(s));
      } else {
        totals.named[at->second].value += s.value;
      }
    }
  }
  totals.requests = Finish<RequestValues>(std::move(requests), retired_requests_);
  totals.tcp = Finish<TcpValues>(std::move(tcp), retired_tcp_);
  return totals;
}

}  // namespace weft::telemetry
