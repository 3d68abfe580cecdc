// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "harness/mesh_traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <random>

namespace vaultrain {
namespace {

// Cycles without a delivery after which flits count as lost.
constexpr uint64_t kPatience = 2000;

struct Copy {
  uint64_t flit;
  uint64_t made;  // cycle
};

class Run {
 public:
  Run(MeshModel& mesh, MeshShape shape, const MeshTraffic& traffic)
      : mesh_(mesh),
        shape_(shape),
        nodes_(shape.Nodes()),
        traffic_(traffic),
        random_(traffic.seed),
        waiting_(nodes_),
        due_(static_cast<size_t>(nodes_) * nodes_ * 4),
        entered_(nodes_),
        source_pace_(nodes_),
        sink_pace_(nodes_) {}

  MeshFigures Go() {
    mesh_.inject_valid = 0;
    mesh_.eject_ready = 0;
    mesh_.inject_flit.assign(nodes_, 0);
    mesh_.Reset();
    for (bool making = true; figures_.fault.empty(); ++cycle_) {
      making = making && (traffic_.flits != 0 ? made_ < traffic_.flits
                                              : cycle_ < traffic_.warm_up + traffic_.cycles);
      // A run of so many cycles counts those, a run of so many flits all of them.
      measured_ = traffic_.flits != 0 || (making && cycle_ >= traffic_.warm_up);
      if (measured_) ++figures_.cycles;
      if (making) Make();
      Offer();
      mesh_.Settle();
      if (mesh_.error != 0) Fault("error_o of nodes {:#x}", mesh_.error);
      Take();
      const bool idle = mesh_.idle == (nodes_ == 64 ? ~uint64_t{0} : (uint64_t{1} << nodes_) - 1);
      if (!making && on_way_ == 0 && mesh_.inject_valid == 0 && idle) break;
      if (cycle_ - last_delivery_ > kPatience) {
        if (on_way_ != 0) {
          Fault("{} copies do not arrive", on_way_);
        } else if (!making && cycle_ - last_made_ > kPatience) {
          Fault("mesh does not become idle, nodes {:#x}", mesh_.idle);
        }
      }
      mesh_.Rise();
    }
    figures_.fewest = *std::min_element(entered_.begin(), entered_.end());
    if (figures_.delivered != 0) {
      figures_.mean_latency =
          static_cast<double>(latency_sum_) / static_cast<double>(figures_.delivered);
    }
    return figures_;
  }

 private:
  template <typename... Args>
  void Fault(fmt::format_string<Args...> format, Args&&... args) {
    if (!figures_.fault.empty()) return;
    figures_.fault = fmt::format(
        "{}; {}x{}, {}, cycle {}, seed {}", fmt::format(format, std::forward<Args>(args)...),
        shape_.columns, shape_.rows, MeshPatternName(traffic_.pattern), cycle_, traffic_.seed);
  }

  std::deque<Copy>& Due(int node, int source, uint64_t flit) {
    return due_[(static_cast<size_t>(node) * nodes_ + source) * 4 + (flit & 3)];
  }

  // How often a handshake may go on: in runs, so that queues fill and empty.
  struct Pace {
    uint32_t left = 0;
    uint32_t quarters = 4;
  };
  bool Goes(Pace& pace) {
    if (!traffic_.stalls) return true;
    if (pace.left-- == 0) {
      pace.left = random_() % 24;
      pace.quarters = random_() % 5;
    }
    return random_() % 4 < pace.quarters;
  }

  uint64_t HeaderTo(int node) const {
    return MeshHeader(MeshCast::kOne, node % shape_.columns, node / shape_.columns);
  }

  uint64_t Uniform(int source) {
    if (nodes_ == 1) return HeaderTo(0);
    const int other = static_cast<int>(random_() % (nodes_ - 1));
    return HeaderTo(other < source ? other : other + 1);
  }

  uint64_t Cast(MeshCast cast) {
    return MeshHeader(cast, static_cast<int>(random_() % 8), static_cast<int>(random_() % 8));
  }

  uint64_t Header(int source) {
    switch (traffic_.pattern) {
      case MeshPattern::kUniform:
        return Uniform(source);
      case MeshPattern::kHotSpot:
        return random_() % 4 == 0 ? HeaderTo(shape_.rows / 2 * shape_.columns + shape_.columns / 2)
                                  : Uniform(source);
      case MeshPattern::kTranspose:
        return HeaderTo(source % shape_.columns * shape_.rows + source / shape_.columns);
      case MeshPattern::kAllToOne:
        return HeaderTo(nodes_ - 1);
      case MeshPattern::kRow:
        return Cast(MeshCast::kRow);
      case MeshPattern::kColumn:
        return Cast(MeshCast::kColumn);
      case MeshPattern::kAll:
        return Cast(MeshCast::kAll);
      case MeshPattern::kMix:
        break;
    }
    const uint32_t cast = random_() % 4;
    return cast == 0 ? Uniform(source) : Cast(static_cast<MeshCast>(cast));
  }

  void Make() {
    for (int n = 0; n < nodes_; ++n) {
      if (traffic_.flits != 0 && made_ == traffic_.flits) return;
      if (traffic_.saturate || traffic_.flits != 0) {
        if (!waiting_[n].empty() || !Goes(source_pace_[n])) continue;
      } else if (random_() >= traffic_.load * 4294967296.0) {
        continue;
      }
      const uint64_t opaque = uint64_t{random_()} << 32 | random_();
      const uint64_t flit = (opaque & ~uint64_t{0xff}) | Header(n);
      waiting_[n].push_back(flit);
      ++made_;
      last_made_ = cycle_;
      if (measured_) ++figures_.made;
      for (int to = 0; to < nodes_; ++to) {
        if (!MeshReaches(shape_, n, flit, to)) continue;
        Due(to, n, flit).push_back({flit, cycle_});
        ++on_way_;
      }
    }
  }

  void Offer() {
    mesh_.inject_valid = 0;
    mesh_.eject_ready = 0;
    for (int n = 0; n < nodes_; ++n) {
      if (!waiting_[n].empty()) {
        mesh_.inject_valid |= uint64_t{1} << n;
        mesh_.inject_flit[n] = waiting_[n].front();
      }
      if (Goes(sink_pace_[n])) mesh_.eject_ready |= uint64_t{1} << n;
    }
  }

  void Take() {
    const uint64_t taken = mesh_.inject_valid & mesh_.inject_ready;
    const uint64_t given = mesh_.eject_valid & mesh_.eject_ready;
    for (int n = 0; n < nodes_; ++n) {
      if (taken >> n & 1) {
        waiting_[n].pop_front();
        if (measured_) {
          ++figures_.injected;
          ++entered_[n];
        }
      }
      if (given >> n & 1) Deliver(n, mesh_.eject_flit[n]);
    }
  }

  // The flit does not name its source: it must be the next of one of the flows that end here.
  void Deliver(int node, uint64_t flit) {
    last_delivery_ = cycle_;
    for (int source = 0; source < nodes_; ++source) {
      std::deque<Copy>& due = Due(node, source, flit);
      if (due.empty() || due.front().flit != flit) continue;
      const uint64_t latency = cycle_ - due.front().made;
      due.pop_front();
      --on_way_;
      if (measured_) {
        ++figures_.delivered;
        latency_sum_ += latency;
        figures_.max_latency = std::max(figures_.max_latency, latency);
      }
      return;
    }
    Fault("node {} gets flit {:#018x}, which is not the next of any source", node, flit);
  }

  MeshModel& mesh_;
  MeshShape shape_;
  int nodes_;
  const MeshTraffic& traffic_;
  std::mt19937 random_;
  std::vector<std::deque<uint64_t>> waiting_;
  std::vector<std::deque<Copy>> due_;
  std::vector<uint64_t> entered_;
  std::vector<Pace> source_pace_, sink_pace_;
  MeshFigures figures_;
  uint64_t cycle_ = 0;
  uint64_t last_delivery_ = 0;
  uint64_t last_made_ = 0;
  uint64_t made_ = 0;
  uint64_t on_way_ = 0;
  uint64_t latency_sum_ = 0;
  bool measured_ = false;
};

}  // namespace

uint64_t MeshHeader(MeshCast cast, int x, int y) {
  return static_cast<uint64_t>(cast) | static_cast<uint64_t>(x) << 2 |
         static_cast<uint64_t>(y) << 5;
}

bool MeshReaches(MeshShape shape, int source, uint64_t flit, int node) {
  const int x = node % shape.columns;
  const int y = node / shape.columns;
  switch (static_cast<MeshCast>(flit & 3)) {
    case MeshCast::kOne:
      return x == static_cast<int>(flit >> 2 & 7) && y == static_cast<int>(flit >> 5 & 7);
    case MeshCast::kRow:
      return node != source && y == source / shape.columns;
    case MeshCast::kColumn:
      return node != source && x == source % shape.columns;
    case MeshCast::kAll:
      break;
  }
  return node != source;
}

const char* MeshPatternName(MeshPattern pattern) {
  static constexpr const char* kNames[kMeshPatterns] = {
      "uniform", "hot_spot", "transpose", "all_to_one", "row", "column", "all", "mix"};
  return kNames[static_cast<int>(pattern)];
}

MeshFigures RunMeshTraffic(MeshModel& mesh, MeshShape shape, const MeshTraffic& traffic) {
  return Run(mesh, shape, traffic).Go();
}

double UniformMeshBound(MeshShape shape) {
  const int longer = std::max(shape.columns, shape.rows);
  const int nodes = shape.Nodes();
  if (longer < 2) return 1;
  const int links = nodes / longer;  // each way
  const int near = longer / 2 * links;
  const double crossing = static_cast<double>(near) * (nodes - near) / (nodes - 1);
  return std::min(1.0, links / crossing);
}

}  // namespace vaultrain
