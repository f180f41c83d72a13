#include "control-plane/ca/rotation.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control-plane/ca/root_keeper.h"
#include "control-plane/ca/rotation_driver.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);
const SpiffeId kTea{"cluster.local", "shop", "tea"};
constexpr absl::Duration kSettle = absl::Seconds(15);
constexpr absl::Duration kLeaf = absl::Hours(1);

// Reports that replicas leave in memory; it may be out of reach.
class MemoryBoard final : public ReplicaBoard {
 public:
  absl::Status Publish(const ReplicaReport& own) override {
    if (away) return absl::UnavailableError("the board is away");
    reports[own.name] = own;
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<ReplicaReport>> Read(absl::Time now) override {
    if (away) return absl::UnavailableError("the board is away");
    std::vector<ReplicaReport> all;
    for (const auto& [name, report] : reports) all.push_back(report);
    return all;
  }

  bool away = false;
  std::map<std::string, ReplicaReport> reports;
};

// One control plane on the shared state directory.
struct Replica {
  Replica(const StateDirectory& state, MemoryBoard& board, const std::string& given_name,
          absl::Time now)
      : name(given_name) {
    keeper = *RootKeeper::Open(
        std::make_unique<FileStateStore>(state, std::string(kCaFile), kMaxDocumentBytes), state,
        {.leaf_lifetime = kLeaf}, now);
    driver = std::make_unique<RotationDriver>(
        *keeper, RotationDriver::Options{.rotation = {.settle = kSettle},
                                         .replica = name,
                                         .is_leader = [this] { return leader; },
                                         .count_sidecars =
                                             [this](ReplicaReport& report) {
                                               report.sidecars = sidecars;
                                               report.acknowledged = acknowledged;
                                               if (acknowledged < sidecars) {
                                                 report.waiting = {"shop/slow"};
                                               }
                                             },
                                         .board = &board});
  }
  RotationRecord::Phase phase() const { return keeper->document().record.phase(); }

  const std::string name;
  bool leader = false;
  uint32_t sidecars = 0;
  uint32_t acknowledged = 0;
  std::unique_ptr<RootKeeper> keeper;
  std::unique_ptr<RotationDriver> driver;
};

// A mesh of replicas whose clock the test moves.
class RotationTest : public ::testing::Test {
 protected:
  RotationTest() {
    Add("a").leader = true;
    Add("b");
  }

  Replica& Add(const std::string& name) {
    replicas_.push_back(std::make_unique<Replica>(state_, board_, name, now_));
    return *replicas_.back();
  }
  Replica& a() { return *replicas_[0]; }
  Replica& b() { return *replicas_[1]; }

  // Lets the time pass, with a round of every replica each second. What was signed on the way must
  // be accepted by everybody at all times.
  void Pass(absl::Duration duration) {
    for (const absl::Time end = now_ + duration; now_ < end; now_ += absl::Seconds(1)) {
      for (const auto& replica : replicas_) {
        if (replica->keeper) replica->driver->Tick(now_);
      }
      CheckThatAllAcceptAll();
    }
  }

  void CheckThatAllAcceptAll() {
    // Nothing else can change the outcome but the end of a leaf.
    std::vector<std::shared_ptr<const Trust>> trusts;
    for (const auto& replica : replicas_) trusts.push_back(replica->keeper->authority().Current());
    if (trusts == checked_) return;
    checked_ = std::move(trusts);
    for (const auto& signer : replicas_) {
      // Leaves are made rarely, for a key costs time; but each time somebody else signs.
      const std::string current = signer->keeper->authority().Current()->signer.Fingerprint();
      if (signed_by_[signer->name] != current) {
        signed_by_[signer->name] = current;
        leaves_.push_back(*signer->keeper->authority().Issue(key_.Public(), kTea, {}, now_));
      }
    }
    for (const x509::Certificate& leaf : leaves_) {
      if (now_ >= leaf.NotAfter()) continue;
      for (const auto& verifier : replicas_) {
        ASSERT_TRUE(
            x509::VerifyChain(leaf, {}, verifier->keeper->authority().Current()->roots, now_).ok())
            << "at " << absl::FormatDuration(now_ - kStart) << " by " << verifier->name;
      }
    }
  }

  std::vector<std::string> Waits() { return a().driver->Status(now_).step.waits; }
  std::string RootOf(const Replica& replica) {
    return replica.keeper->authority().Current()->signer.Fingerprint();
  }

  absl::Time now_ = kStart;
  const TemporaryDirectory directory_;
  const StateDirectory state_ = *StateDirectory::Open(directory_.path());
  MemoryBoard board_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  const x509::PrivateKey key_ = *x509::PrivateKey::Generate();
  std::vector<x509::Certificate> leaves_;
  std::map<std::string, std::string> signed_by_;
  std::vector<std::shared_ptr<const Trust>> checked_;
};

TEST_F(RotationTest, ARootIsReplacedWithoutAMomentInWhichACertificateIsRefused) {
  const std::string old_root = RootOf(a());
  Pass(absl::Seconds(3));
  EXPECT_EQ(a().phase(), RotationRecord::STABLE);
  EXPECT_TRUE(Waits().empty());

  ASSERT_TRUE(b().driver->Begin(now_).ok()) << "any replica may begin";
  Pass(absl::Seconds(2));
  EXPECT_EQ(a().phase(), RotationRecord::ANNOUNCED);
  EXPECT_EQ(RootOf(a()), old_root);
  EXPECT_THAT(a().keeper->authority().RootsPem(), SizeIs(2));
  Pass(kSettle + absl::Seconds(3));
  EXPECT_EQ(a().phase(), RotationRecord::CONFIRMED);
  EXPECT_EQ(RootOf(a()), old_root);
  Pass(kSettle + absl::Seconds(3));
  EXPECT_EQ(a().phase(), RotationRecord::SIGNING);
  EXPECT_NE(RootOf(a()), old_root);
  EXPECT_EQ(RootOf(b()), RootOf(a()));
  Pass(absl::Minutes(60));
  EXPECT_EQ(a().phase(), RotationRecord::SIGNING) << "a certificate of the old root may live";
  EXPECT_THAT(Waits(), ElementsAre(HasSubstr("certificates of the old root to expire")));
  Pass(absl::Minutes(8));
  EXPECT_EQ(a().phase(), RotationRecord::STABLE);
  EXPECT_EQ(b().phase(), RotationRecord::STABLE);
  EXPECT_THAT(b().keeper->authority().RootsPem(), SizeIs(1));
  EXPECT_TRUE(a().keeper->document().record.has_finished());
  EXPECT_TRUE(a().driver->Begin(now_).ok()) << "and again";
}

TEST_F(RotationTest, NobodySignsWithTheNewRootBeforeTheLastSidecarHasAcknowledgedIt) {
  b().sidecars = 3;
  b().acknowledged = 3;
  const std::string old_root = RootOf(a());
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  Pass(kSettle + absl::Seconds(3));
  ASSERT_EQ(a().phase(), RotationRecord::CONFIRMED);
  b().acknowledged = 2;
  Pass(absl::Minutes(30));
  EXPECT_EQ(a().phase(), RotationRecord::CONFIRMED);
  EXPECT_EQ(RootOf(a()), old_root);
  EXPECT_THAT(Waits(), ElementsAre("1 of 3 sidecars of replica b to acknowledge the new root: "
                                   "shop/slow"));
  b().acknowledged = 3;
  Pass(absl::Seconds(3));
  EXPECT_EQ(a().phase(), RotationRecord::SIGNING);
}

TEST_F(RotationTest, TheBundleOfTheSecondStepHasAnotherOrderSoThatItGoesOutOnceMore) {
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  Pass(absl::Seconds(2));
  const std::vector<std::string> announced = a().keeper->authority().RootsPem();
  Pass(kSettle + absl::Seconds(1));
  const std::vector<std::string> confirmed = a().keeper->authority().RootsPem();
  EXPECT_THAT(confirmed, ElementsAre(announced[1], announced[0]));
  Pass(kSettle + absl::Seconds(3));
  EXPECT_EQ(a().keeper->authority().RootsPem(), confirmed) << "and the third step changes nothing";
}

TEST_F(RotationTest, AReplicaThatCannotBeHeardHoldsTheRotationUp) {
  Pass(absl::Seconds(2));
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  Pass(absl::Seconds(5));  // its last report says that it has the new root
  std::unique_ptr<Replica> lost = std::move(replicas_[1]);
  replicas_.pop_back();
  Pass(absl::Minutes(10));
  EXPECT_EQ(a().phase(), RotationRecord::CONFIRMED);
  EXPECT_THAT(Waits(), ElementsAre(HasSubstr("replica b to report: it is silent for")));
  board_.reports.erase("b");  // its pod is gone for good
  Pass(absl::Seconds(2));
  EXPECT_EQ(a().phase(), RotationRecord::SIGNING);
}

TEST_F(RotationTest, OnlyTheLeaderTakesStepsAndAnotherGoesOnWhereItStood) {
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  Pass(kSettle + absl::Seconds(2));
  a().leader = false;
  const RotationRecord::Phase phase = a().phase();
  Pass(absl::Minutes(5));
  EXPECT_EQ(a().phase(), phase);
  b().leader = true;
  Pass(kSettle + absl::Seconds(5));
  EXPECT_EQ(a().phase(), RotationRecord::SIGNING);
}

TEST_F(RotationTest, ARestartOfEverythingGoesOnWhereItStood) {
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  for (const RotationRecord::Phase phase :
       {RotationRecord::ANNOUNCED, RotationRecord::CONFIRMED, RotationRecord::SIGNING}) {
    for (int i = 0; i < 30 && a().phase() != phase; ++i) Pass(absl::Seconds(1));
    ASSERT_EQ(a().phase(), phase);
    replicas_.clear();
    Add("a").leader = true;
    Add("b");
    EXPECT_EQ(a().phase(), phase);
  }
  Pass(absl::Minutes(70));
  EXPECT_EQ(a().phase(), RotationRecord::STABLE);
}

TEST_F(RotationTest, WhileTheBoardIsAwayNoStepIsTakenAndSigningGoesOn) {
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  Pass(absl::Seconds(3));
  board_.away = true;
  Pass(absl::Minutes(5));
  EXPECT_EQ(a().phase(), RotationRecord::ANNOUNCED);
  EXPECT_THAT(std::string(a().driver->Status(now_).problem.message()), HasSubstr("away"));
  board_.away = false;
  Pass(absl::Seconds(5));
  EXPECT_EQ(a().phase(), RotationRecord::CONFIRMED);
  EXPECT_TRUE(a().driver->Status(now_).problem.ok());
}

TEST_F(RotationTest, ASecondRotationIsRefusedWhileOneIsUnderWay) {
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  const absl::Status second = b().driver->Begin(now_);
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr("under way since"));
  EXPECT_THAT(a().keeper->authority().RootsPem(), SizeIs(2));
}

TEST_F(RotationTest, TheOldRootsKeyIsGoneAsSoonAsTheNewOneSigns) {
  ASSERT_TRUE(a().driver->Begin(now_).ok());
  Pass(2 * kSettle + absl::Seconds(6));
  ASSERT_EQ(a().phase(), RotationRecord::SIGNING);
  const std::string text = *state_.ReadSecret(kCaFile, kMaxDocumentBytes);
  const size_t first = text.find("BEGIN PRIVATE KEY");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("BEGIN PRIVATE KEY", first + 1), std::string::npos);
}

TEST_F(RotationTest, AnUnusableDocumentChangesNothingWhileItRuns) {
  const std::string root = RootOf(a());
  const std::string good = *state_.ReadSecret(kCaFile, kMaxDocumentBytes);
  ASSERT_TRUE(state_.Write(kCaFile, "nonsense", 0600).ok());
  Pass(absl::Seconds(3));
  EXPECT_EQ(RootOf(a()), root);
  EXPECT_THAT(std::string(a().driver->Status(now_).problem.message()), HasSubstr("ca.pem"));
  EXPECT_FALSE(a().driver->Begin(now_).ok());
  EXPECT_EQ(*state_.ReadSecret(kCaFile, kMaxDocumentBytes), "nonsense");
  ASSERT_TRUE(state_.Write(kCaFile, good, 0600).ok());
  Pass(absl::Seconds(2));
  EXPECT_TRUE(a().driver->Status(now_).problem.ok());
}

TEST(RootDocumentTest, EveryPhaseIsReadAsItWasWritten) {
  const Root first = *NewRoot("cluster.local", kStart);
  RootDocument document{first, std::nullopt, {}};
  EXPECT_EQ(document.ToText()->find("-----BEGIN CERTIFICATE"), 0U) << "plain without a rotation";
  ASSERT_TRUE(BeginRotation(document, "cluster.local", kStart).ok());
  for (const RotationRecord::Phase phase :
       {RotationRecord::ANNOUNCED, RotationRecord::CONFIRMED, RotationRecord::SIGNING}) {
    document.record.set_phase(phase);
    document.record.set_generation(7);
    if (phase == RotationRecord::SIGNING) document.other->key.reset();
    const absl::StatusOr<RootDocument> read = RootDocument::Parse(*document.ToText(), kStart);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->record.phase(), phase);
    EXPECT_EQ(read->record.generation(), 7U);
    EXPECT_EQ(ToAbslTime(read->record.started()), kStart);
    EXPECT_EQ(read->signing.certificate.Fingerprint(), first.certificate.Fingerprint());
    EXPECT_EQ(read->other->certificate.Fingerprint(), document.other->certificate.Fingerprint());
    EXPECT_EQ(read->other->key.has_value(), phase != RotationRecord::SIGNING);
  }
}

TEST(RootDocumentTest, WhatDoesNotFitItsPhaseIsRefused) {
  const Root one = *NewRoot("cluster.local", kStart);
  const Root two = *NewRoot("cluster.local", kStart);
  const auto text = [](const Root& a, const std::optional<Root>& b, RotationRecord::Phase phase) {
    RootDocument document{a, b, {}};
    document.record.set_phase(phase);
    document.record.set_generation(1);
    return *document.ToText();
  };
  const Root keyless{two.certificate, std::nullopt};
  struct Case {
    std::string text;
    const char* error;
  };
  for (const Case& c : std::vector<Case>{
           {text(one, std::nullopt, RotationRecord::ANNOUNCED), "two roots are expected"},
           {text(one, two, RotationRecord::STABLE), "one root is expected"},
           {text(one, keyless, RotationRecord::ANNOUNCED), "no readable private key"},
           {text(one, two, RotationRecord::SIGNING), "2 private keys"},
           {text(keyless, one, RotationRecord::CONFIRMED), "does not belong"},
           {"Weft-Rotation: {\"phase\":\n" + text(one, two, RotationRecord::ANNOUNCED),
            "cannot be read"},
       }) {
    const absl::Status status = RootDocument::Parse(c.text, kStart).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.error));
  }
}

}  // namespace
}  // namespace weft::ca
