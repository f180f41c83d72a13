// Another parser of HTTP/1, for tests: llhttp, of Node.js.
#ifndef WEFT_SIDECAR_HTTP_H1_SECOND_READER_H_
#define WEFT_SIDECAR_HTTP_H1_SECOND_READER_H_

#include <string>
#include <string_view>

#include "llhttp.h"

namespace weft::http::h1 {

// What llhttp makes of one message.
struct SecondReading {
  bool accepted = false;  // complete and well-formed
  size_t used = 0;
  int fields = 0;
  std::string body;
};

inline SecondReading ReadWithLlhttp(bool of_request, bool answers_head, std::string_view bytes) {
  struct State {
    SecondReading reading;
    bool answers_head;
  } state{.reading = {}, .answers_head = answers_head};
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_header_value_complete = [](llhttp_t* p) {
    ++static_cast<State*>(p->data)->reading.fields;
    return 0;
  };
  settings.on_headers_complete = [](llhttp_t* p) {
    // It leaves these two to its user.
    return static_cast<State*>(p->data)->answers_head || p->status_code == 304 ? 1 : 0;
  };
  settings.on_body = [](llhttp_t* p, const char* at, size_t size) {
    static_cast<State*>(p->data)->reading.body.append(at, size);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t* p) {
    static_cast<State*>(p->data)->reading.accepted = true;
    return static_cast<int>(HPE_PAUSED);
  };
  llhttp_t parser;
  llhttp_init(&parser, of_request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
  parser.data = &state;
  const llhttp_errno_t error = llhttp_execute(&parser, bytes.data(), bytes.size());
  if (error == HPE_OK) {
    state.reading.used = bytes.size();
    llhttp_finish(&parser);
  } else if (state.reading.accepted) {
    state.reading.used = static_cast<size_t>(llhttp_get_error_pos(&parser) - bytes.data());
  }
  return state.reading;
}

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_SECOND_READER_H_
