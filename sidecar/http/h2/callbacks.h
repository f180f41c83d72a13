// How nghttp2 tells a session what comes in and asks it for what goes out.
#ifndef WEFT_SIDECAR_HTTP_H2_CALLBACKS_H_
#define WEFT_SIDECAR_HTTP_H2_CALLBACKS_H_

#include <cstdint>

#include "nghttp2/nghttp2.h"

namespace weft::http::h2 {

// nghttp2's user data is the Session, a stream's user data its h2::Stream.
struct Callbacks {
  // Shared by all sessions.
  static const nghttp2_session_callbacks* Table();

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* header, void* user_data);
  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                      void* user_data);
  static int OnInvalidHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                             size_t name_size, const uint8_t* value, size_t value_size,
                             uint8_t flags, void* user_data);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnUnknownFrame(nghttp2_session*, void** payload, const nghttp2_frame_hd* header,
                            void* user_data);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t stream_id, const uint8_t* data,
                    size_t size, void* user_data);
  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int error,
                            void* user_data);
  static int OnStreamClose(nghttp2_session*, int32_t stream_id, uint32_t error_code,
                           void* user_data);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data);

  static ssize_t MaxDataSize(nghttp2_session*, uint8_t frame_type, int32_t stream_id,
                             int32_t session_window, int32_t stream_window, uint32_t max_frame,
                             void* user_data);
  static ssize_t ReadData(nghttp2_session*, int32_t stream_id, uint8_t* into, size_t size,
                          uint32_t* flags, nghttp2_data_source* source, void* user_data);
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* frame_header,
                      size_t size, nghttp2_data_source* source, void* user_data);
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_CALLBACKS_H_
