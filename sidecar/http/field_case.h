// How field names were spelt, told in one short text.
//
// HTTP/2 knows names in small letters only (RFC 9113 section 8.2). Names mean the same in any case,
// but some applications look for one spelling; so two sidecars with HTTP/2 between them and
// HTTP/1 on both sides tell each other how it was.
#ifndef WEFT_SIDECAR_HTTP_FIELD_CASE_H_
#define WEFT_SIDECAR_HTTP_FIELD_CASE_H_

#include <string>
#include <string_view>

#include "sidecar/http/headers.h"

namespace weft::http {

// Empty if all names are in small letters. Else "T" if most of them Begin-Each-Word-So, else "s",
// and behind commas the names that are spelt otherwise, as they are: "T,ETag,x-request-id". At most
// kMaxFieldCaseBytes; what does not fit is left out. Fields of one name get one spelling. The view
// is into `*scratch`.
inline constexpr size_t kMaxFieldCaseBytes = 512;
std::string_view DescribeFieldCase(const Headers& headers, std::string* scratch);

// Spells the names of `headers` as described. Text that describes nothing changes nothing: it may
// come from anybody, and names that are not among the fields have no effect.
void RestoreFieldCase(std::string_view description, Headers* headers);

}  // namespace weft::http

#endif  // WEFT_SIDECAR_HTTP_FIELD_CASE_H_
