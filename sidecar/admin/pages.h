// The pages of the three small servers.
#ifndef WEFT_SIDECAR_ADMIN_PAGES_H_
#define WEFT_SIDECAR_ADMIN_PAGES_H_

#include "sidecar/admin/readiness.h"
#include "sidecar/admin/server.h"
#include "sidecar/discovery/client.h"
#include "sidecar/identity/identity.h"
#include "sidecar/telemetry/telemetry.h"

namespace weft::admin {

// What the pages show; all outlive the servers and the requests in progress.
struct Subjects {
  const discovery::Client* discovery;
  const identity::Identity* identity;
  telemetry::Telemetry* telemetry;
  const Readiness* readiness;
};

// Port 15000, loopback only: /config_dump, /certs, /stats, /logging, /ready, /quit.
void AddAdminPages(Server& server, const Subjects& subjects);

// Port 15020: /metrics (also at /stats/prometheus, where Istio has it).
void AddMetricsPages(Server& server, const Subjects& subjects);

// Port 15021: /healthz/ready, 503 with the reasons in the body while something is missing;
// /healthz/live.
void AddHealthPages(Server& server, const Subjects& subjects);

// Makes configuration and certificate conditions of readiness. Later losses of the control plane do
// not make a sidecar unready, an expired certificate does.
void RequireConfiguration(Readiness& readiness, const discovery::Client* discovery,
                          const identity::Identity* identity);

// weft_certificate_..., weft_discovery_...
void AddControlSideMetrics(telemetry::Telemetry& telemetry, const discovery::Client* discovery,
                           const identity::Identity* identity);

}  // namespace weft::admin

#endif  // WEFT_SIDECAR_ADMIN_PAGES_H_
