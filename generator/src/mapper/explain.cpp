// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the mapper writes down for an Explanation.

#include "vaultrain/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mapper/mapping.h"

namespace vaultrain {

using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

double EngineCycles::Slowest() const { return std::max({array, pins, links, lanes}); }

std::string_view EngineCycles::Bound() const {
  const std::pair<double, std::string_view> engines[] = {
      {array, "array"}, {pins, "pins"}, {links, "links"}, {lanes, "lanes"}};
  return std::max_element(std::begin(engines), std::end(engines),
                          [](const auto& a, const auto& b) { return a.first < b.first; })
      ->second;
}

double TilingChoice::Cycles() const { return std::max(MemorySide(), ArraySide()) + last_store; }

std::string WhyNot(const TilingChoice& chosen, const TilingChoice& other) {
  if (other.Cycles() <= chosen.Cycles()) return "as good, found later";
  std::vector<std::pair<double, std::string>> parts;
  if (other.MemorySide() >= other.ArraySide()) {
    parts = {{other.transfers - chosen.transfers, "at the pins"},
             {other.tile - chosen.tile, "of the array behind the last load"}};
  } else {
    parts = {{other.compute - chosen.compute, "of the array"},
             {other.first_loads - chosen.first_loads, "until the first tile is there"},
             {other.last_store - chosen.last_store, "to store the last tile"}};
  }
  const auto& most = *std::max_element(
      parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (most.first <= 0) return "what the chosen one hides shows";
  return fmt::format("{:.0f} cycles more {}", most.first, most.second);
}

namespace {

double Product(const Descriptor& d, FieldId field, int from, int to) {
  double product = 1;
  for (int l = from; l < to; ++l) product *= static_cast<double>(d.Get(field, l));
  return product;
}

// Of everything but links.
EngineCycles CyclesOf(const Descriptor& d, const Variant& v) {
  EngineCycles cycles;
  auto get = [&d](FieldId field, int index = 0) {
    return static_cast<double>(d.Get(field, index));
  };
  switch (static_cast<Opcode>(d.Get(FieldId::kOpcode))) {
    case Opcode::kLoad:
    case Opcode::kStore:
      cycles.pins = get(FieldId::kRows) * get(FieldId::kRowAccesses) * kAccess * 8 /
                    (kPinShare * v.dram.data_bits);
      break;
    case Opcode::kCompute: {
      const auto level = static_cast<int>(d.Get(FieldId::kBLevel));
      cycles.array = std::max(Product(d, FieldId::kBound, 0, level), double(v.array.cols)) *
                     Product(d, FieldId::kBound, level, isa::kLoops);
      break;
    }
    case Opcode::kVector:
      cycles.lanes = Product(d, FieldId::kVBound, 0, isa::kLoops);
      break;
    case Opcode::kElements:
      // An entry with an auxiliary operand is read twice.
      cycles.lanes =
          Product(d, FieldId::kVBound, 0, isa::kLoops) * (d.Get(FieldId::kAuxKind) == 0 ? 1 : 2);
      break;
    case Opcode::kSoftmax:
      cycles.lanes = get(FieldId::kSRows) * (3 * get(FieldId::kClasses) + 30);
      break;
    case Opcode::kLanes: {
      const double all = Product(d, FieldId::kLBound, 0, isa::kLaneLoops - 1);
      const double ends =
          all / Product(d, FieldId::kLBound, 0, static_cast<int>(d.Get(FieldId::kLLevel)));
      cycles.lanes =
          get(FieldId::kLGroups) *
          (get(FieldId::kLBody) * all + (get(FieldId::kLInit) + get(FieldId::kLFinal)) * ends);
      break;
    }
    case Opcode::kSend:
    case Opcode::kEnd:
      break;
  }
  return cycles;
}

}  // namespace

void Mapper::ExplainJobs(const ProgramStream& stream) {
  if (explanation_ == nullptr) return;
  const size_t nodes = stream.nodes.size();
  const auto columns = static_cast<size_t>(v_.mesh.x);
  std::vector<std::vector<EngineCycles>> of(nodes, std::vector<EngineCycles>(program_.jobs.size()));
  std::vector<std::vector<double>> got(nodes, std::vector<double>(program_.jobs.size()));
  for (size_t n = 0; n < nodes; ++n) {
    for (const Descriptor& d : stream.nodes[n].descriptors) {
      const auto tag = static_cast<size_t>(d.Get(FieldId::kTag));
      const EngineCycles cycles = CyclesOf(d, v_);
      EngineCycles& sum = of[n][tag];
      sum.array += cycles.array;
      sum.pins += cycles.pins;
      sum.lanes += cycles.lanes;
      if (static_cast<Opcode>(d.Get(FieldId::kOpcode)) != Opcode::kSend) continue;
      const auto flits = static_cast<double>(d.Get(FieldId::kSendRows) * d.Get(FieldId::kRowFlits));
      sum.links += flits;
      const auto group = static_cast<isa::Group>(d.Get(FieldId::kGroup));
      const auto owner = static_cast<size_t>(d.Get(FieldId::kOwnerX)) +
                         static_cast<size_t>(d.Get(FieldId::kOwnerY)) * columns;
      const bool sums =
          static_cast<isa::SendKind>(d.Get(FieldId::kSendKind)) == isa::SendKind::kReduce;
      for (size_t to = 0; to < nodes; ++to) {
        const bool in_group = group == isa::Group::kOwner    ? to == owner
                              : group == isa::Group::kRow    ? to / columns == n / columns
                              : group == isa::Group::kColumn ? to % columns == n % columns
                                                             : true;
        // The owner gets one sum, however many nodes add to it.
        if (sums ? to == owner && n == owner : in_group && to != n) got[to][tag] += flits;
      }
    }
  }
  for (size_t j = 0; j < program_.jobs.size(); ++j) {
    EngineCycles& busiest = explanation_->jobs[j].cycles;
    for (size_t n = 0; n < nodes; ++n) {
      of[n][j].links = std::max(of[n][j].links, got[n][j]);
      if (n == 0 || of[n][j].Slowest() > busiest.Slowest()) busiest = of[n][j];
    }
  }
}

// Takes the tilings that fit in the order in which they were found; cheapest first, and of equals
// the first, as the choice itself is made.
void Mapper::ExplainProduct(const Gemm& g, std::vector<TilingChoice> fit, int64_t too_large) const {
  constexpr size_t kShown = 4;
  ProductChoice product{local_[g.out].name, g.m, g.n, g.k, static_cast<int64_t>(fit.size()),
                        too_large,          {}};
  std::stable_sort(fit.begin(), fit.end(), [](const TilingChoice& a, const TilingChoice& b) {
    return a.Cycles() < b.Cycles();
  });
  for (const TilingChoice& tiling : fit) {
    const bool new_kind =
        std::none_of(product.tilings.begin(), product.tilings.end(),
                     [&](const TilingChoice& shown) { return shown.stays == tiling.stays; });
    if (product.tilings.size() < kShown || new_kind) product.tilings.push_back(tiling);
  }
  explanation_->jobs[static_cast<size_t>(g.tag)].products.push_back(std::move(product));
}

}  // namespace vaultrain
