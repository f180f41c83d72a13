// An HTTPS server that says what a test tells it to, like a Kubernetes API server in some story.
#ifndef WEFT_BASE_KUBERNETES_API_SERVER_FOR_TEST_H_
#define WEFT_BASE_KUBERNETES_API_SERVER_FOR_TEST_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/kubernetes/config.h"

namespace httplib {
struct Request;
struct Response;
class SSLServer;
}  // namespace httplib

namespace weft::kubernetes {

// A watch that a client has opened. Thread-safe.
class WatchForTest {
 public:
  explicit WatchForTest(std::string target) : target_(std::move(target)) {}

  // The request's path and query.
  const std::string& target() const { return target_; }

  void Send(std::string_view bytes);  // one chunk
  void End();                         // with the last chunk
  void Break();                       // without

  // For the server: the next chunk, after waiting for it; false at the end, which `clean`
  // describes.
  bool Next(std::string& bytes, bool& clean);

 private:
  const std::string target_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> chunks_;
  bool ended_ = false;
  bool broken_ = false;
};

class ApiServerForTest {
 public:
  struct Reply {
    int code = 200;
    std::string body = {};
    std::map<std::string, std::string> headers = {};
    std::string content_type = "application/json";
  };
  struct Call {
    std::string method;
    std::string target;
    std::string body;
    std::multimap<std::string, std::string> headers;
  };

  // Listens on a free port of 127.0.0.1, or on `port`. Servers with the same `authority` have the
  // same certificate.
  explicit ApiServerForTest(int port = 0, const std::string& authority = "api");
  ~ApiServerForTest();
  ApiServerForTest(const ApiServerForTest&) = delete;
  ApiServerForTest& operator=(const ApiServerForTest&) = delete;

  // How to reach it, with the token "token-1".
  Config config() const;
  int port() const { return port_; }

  // What a path (without query) says from now on; 404 until then. A watch that is not refused with
  // RefuseWatch is accepted, whatever this says.
  void Say(const std::string& path, Reply reply);
  // What it says before that, once for every call.
  void SayOnce(const std::string& path, Reply reply);
  // What the next watches of the path get, one each.
  void RefuseWatch(const std::string& path, Reply reply);
  // Decides by itself what to say, before all of the above; false: nothing. Runs on many threads.
  void SetHandler(std::function<bool(const Call& call, Reply& reply)> handler);

  // The next watch of the path that nobody has been given yet; nullptr after ten seconds.
  std::shared_ptr<WatchForTest> AwaitWatch(const std::string& path);

  // Every call so far, in order.
  std::vector<Call> Calls() const;
  // The targets of those whose target contains `part`.
  std::vector<std::string> Targets(std::string_view part) const;

 private:
  void Answer(const httplib::Request& request, httplib::Response& response);
  Reply ReplyTo(const Call& call, const std::string& path, bool watch);

  std::string certificate_pem_;
  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable watch_came_;
  std::vector<Call> calls_;
  std::map<std::string, Reply> replies_;
  std::map<std::string, std::deque<Reply>> once_;
  std::map<std::string, std::deque<Reply>> refusals_;
  std::map<std::string, std::deque<std::shared_ptr<WatchForTest>>> watches_;
  std::vector<std::shared_ptr<WatchForTest>> open_;
  std::function<bool(const Call&, Reply&)> handler_;

  std::thread thread_;
};

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_API_SERVER_FOR_TEST_H_
