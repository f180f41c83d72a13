// What a real API server has said, from testdata/kubernetes.
#ifndef WEFT_CONTROL_PLANE_SOURCE_RECORDING_FOR_TEST_H_
#define WEFT_CONTROL_PLANE_SOURCE_RECORDING_FOR_TEST_H_

#include <string>
#include <vector>

#include "base/kubernetes/api_server_for_test.h"

namespace weft::source {

// A recorded watch: the chunks in which it came; `events_in[i]` is how many events are complete
// with chunk i.
struct RecordedWatch {
  std::vector<std::string> chunks;
  std::vector<int> events_in;
};
RecordedWatch ReadWatch(const std::string& name);

// The response of a recorded exchange.
kubernetes::ApiServerForTest::Reply ReadReply(const std::string& name);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_RECORDING_FOR_TEST_H_
