// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Jobs of the array from nests of loops: loops that go on where an inner one ends become one, and
// what has more loops than a descriptor becomes several jobs.

#include <algorithm>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

namespace {

constexpr size_t kNone = ~size_t{0};

// Without loops that run once; neighbours that step alike become one. `keep` stays by itself.
std::vector<Loop> Merged(const std::vector<Loop>& loops, size_t keep, size_t* kept) {
  std::vector<Loop> merged;
  bool open = false;
  for (size_t i = 0; i < loops.size(); ++i) {
    const Loop& loop = loops[i];
    if (loop.count == 1) continue;
    if (i == keep) {
      if (kept != nullptr) *kept = merged.size();
      merged.push_back(loop);
      open = false;
      continue;
    }
    if (open) {
      Loop& last = merged.back();
      const auto follows = [&](int64_t Loop::*step) {
        return loop.*step == last.count * (last.*step);
      };
      if (follows(&Loop::a) && follows(&Loop::b) && follows(&Loop::out) && follows(&Loop::aux)) {
        last.count *= loop.count;
        continue;
      }
    }
    merged.push_back(loop);
    open = true;
  }
  return merged;
}

// The loops of COMPUTE, which knows nothing of results, and those of VECTOR, which knows only them.
std::vector<Loop> OfOperands(std::vector<Loop> loops) {
  for (Loop& loop : loops) loop.out = loop.aux = 0;
  return Merged(loops, kNone, nullptr);
}

}  // namespace

void Mapper::AddJobs(std::vector<Step>& work, const ComputeSpec& spec, const VectorSpec& results,
                     Nest nest, int tag) const {
  using isa::kLoops;
  std::vector<Loop> loops = OfOperands(nest.rows);
  const size_t b_level = std::max<size_t>(loops.size(), 1);
  loops.resize(b_level);
  std::vector<Loop> depth = OfOperands(nest.depth);
  if (spec.HasHalves()) depth.push_back({2, spec.a_low, spec.b_low, 0, 0});
  const size_t store_level = b_level + depth.size();
  loops.insert(loops.end(), depth.begin(), depth.end());
  const std::vector<Loop> sets = OfOperands(nest.sets);
  loops.insert(loops.end(), sets.begin(), sets.end());

  std::vector<Loop> drained = nest.rows;
  size_t tail = kNone;
  for (auto* of : {&nest.rows, &nest.sets}) {
    for (Loop& loop : *of) loop.aux = results.aux < 0 ? 0 : loop.aux;
  }
  for (Loop& loop : drained) {
    loop.a = loop.b = 0;
    if (results.aux < 0) loop.aux = 0;
  }
  drained = Merged(drained, kNone, nullptr);
  const size_t pop_level = std::max<size_t>(drained.size(), 1);
  drained.resize(pop_level);
  std::vector<Loop> drained_sets = nest.sets;
  for (Loop& loop : drained_sets) loop.a = loop.b = 0;
  for (const Loop& loop : Merged(drained_sets, nest.columns, &tail)) drained.push_back(loop);
  if (tail != kNone) tail += pop_level;

  if (loops.size() > kLoops || drained.size() > kLoops ||
      (tail == kNone && results.tail && drained.size() == kLoops)) {
    // One job for each iteration of the outermost loop.
    Loop outer;
    while (outer.count == 1) {
      if (nest.sets.empty()) throw Error(ExitStatus::kInternal, "a nest has too many loops");
      outer = nest.sets.back();
      nest.sets.pop_back();
    }
    if (nest.columns >= nest.sets.size()) {
      throw Error(ExitStatus::kInternal, "a nest has too many loops below its columns");
    }
    for (int64_t i = 0; i < outer.count; ++i) {
      ComputeSpec one = spec;
      one.a_offset += i * outer.a;
      one.b_offset += i * outer.b;
      VectorSpec part = results;
      part.out_offset.base += i * outer.out;
      part.aux_offset += i * outer.aux;
      AddJobs(work, one, part, nest, tag);
    }
    return;
  }
  loops.resize(kLoops);
  drained.resize(kLoops);
  const size_t tail_loop = !results.tail ? isa::kNoTail : tail != kNone ? tail : kLoops - 1;

  Step compute;
  compute.engine = Engine::kCompute;
  compute.buffers = {{spec.a, false}, {spec.b, false}};
  compute.cycles = 1;
  for (const auto& loop : loops) compute.cycles *= loop.count;
  compute.make = [=, this](const Place&) {
    Descriptor d(Opcode::kCompute);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kFirst, 1);
    d.Set(FieldId::kLast, 1);
    d.Set(FieldId::kBLevel, static_cast<int64_t>(b_level));
    d.Set(FieldId::kStoreLevel, static_cast<int64_t>(store_level));
    d.Set(FieldId::kHalves, spec.HasHalves());
    std::array<int64_t, kLoops> bounds{}, b_bounds{}, a_steps{}, b_steps{};
    for (size_t l = 0; l < kLoops; ++l) {
      bounds[l] = loops[l].count;
      b_bounds[l] = l < b_level ? 1 : loops[l].count;
      a_steps[l] = loops[l].a / word_;
      b_steps[l] = l < b_level ? 0 : loops[l].b / word_;
    }
    const auto a_inc = isa::Increments(bounds, a_steps);
    const auto b_inc = isa::Increments(b_bounds, b_steps);
    for (int l = 0; l < kLoops; ++l) {
      d.Set(FieldId::kBound, bounds[l], l);
      d.Set(FieldId::kAInc, bounds[l] > 1 ? a_inc[l] : 0, l);
      d.Set(FieldId::kBInc, b_bounds[l] > 1 ? b_inc[l] : 0, l);
    }
    d.Set(FieldId::kABase, (s_->AddressOf(spec.a) + spec.a_offset) / word_);
    d.Set(FieldId::kBBase, (s_->AddressOf(spec.b) + spec.b_offset) / word_);
    d.Set(FieldId::kBColInc, spec.b_pitch / word_);
    return d;
  };
  work.push_back(std::move(compute));

  Step vector;
  vector.engine = Engine::kVector;
  vector.buffers = {{results.out, true}};
  if (results.aux >= 0) vector.buffers.push_back({results.aux, false});
  vector.make = [=, this](const Place&) {
    const bool has_aux = results.aux >= 0;
    Descriptor d(Opcode::kVector);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kPopLevel, static_cast<int64_t>(pop_level));
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(has_aux ? results.aux_kind : Aux::kNone));
    d.Set(FieldId::kRelu, results.relu);
    d.Set(FieldId::kOutFp32, results.out_bytes == 4 && operand_ == 2);
    d.Set(FieldId::kTailLoop, static_cast<int64_t>(tail_loop));
    std::array<int64_t, kLoops> bounds{}, out_steps{}, aux_steps{};
    for (size_t l = 0; l < kLoops; ++l) {
      bounds[l] = drained[l].count;
      out_steps[l] = drained[l].out;
      aux_steps[l] = drained[l].aux;
    }
    const auto out_inc = isa::Increments(bounds, out_steps);
    const auto aux_inc = isa::Increments(bounds, aux_steps);
    for (int l = 0; l < kLoops; ++l) {
      d.Set(FieldId::kVBound, bounds[l], l);
      d.Set(FieldId::kOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
      d.Set(FieldId::kAuxInc, bounds[l] > 1 && has_aux ? aux_inc[l] : 0, l);
    }
    d.Set(FieldId::kOutBase, s_->AddressOf(results.out) + results.out_offset.base);
    d.Set(FieldId::kAuxBase, has_aux ? s_->AddressOf(results.aux) + results.aux_offset : 0);
    return d;
  };
  work.push_back(std::move(vector));
}

}  // namespace vaultrain
