// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Groups of convolutions. A row of their weights holds all channels, each with its weight to one of
// the outputs of its group (training_graph.h), so that no zeros are stored or updated.
//
// FF and BP take whole words of channels and of outputs. Groups that are such words are products of
// their own. Of others neighbours make a bundle: the lanes copy the weights once a step, the rows
// of a bundle's outputs one after the other, with zeros from one group to another, and the array
// multiplies them as if they were one group. UP takes words of samples, so that its bundles are
// those channels only that the array has columns; of their products the lanes pick those inside a
// group.
//
// A depthwise 3x3 of 16 channels takes 36 cycles a pixel and sample so on nano (9 taps, 4 tiles of
// columns) and 18 on cube; UP takes 9 and 4.5. On the lanes it would take a load and a mad for each
// tap and register, 72 and 36 cycles in each of the three phases, and more for weights, stores and
// edges.

#include <fmt/format.h>

#include <numeric>

#include "mapper/mapping.h"

namespace vaultrain {

namespace {

constexpr int kNeverWritten = 15;  // a register that no program here writes: zero

// As few groups as give whole steps of channels and outputs.
Bundles Bundled(const TrainingLayer& l, int64_t channel_step, int64_t output_step) {
  const int64_t groups = l.kind == LayerKind::kLinear ? l.groups : 1;
  const int64_t channels = l.from.channels / groups;
  const int64_t outputs = l.to.channels / groups;
  Bundles bundles;
  bundles.groups = std::min(groups, std::lcm(channel_step / std::gcd(channel_step, channels),
                                             output_step / std::gcd(output_step, outputs)));
  bundles.count = CeilDiv(groups, bundles.groups);
  bundles.channels = bundles.groups * channels;
  bundles.outputs = bundles.groups * outputs;
  return bundles;
}

}  // namespace

std::vector<BundleRun> BundleRuns(int64_t first, int64_t count, int64_t of_bundle) {
  const int64_t bundle = first / of_bundle;
  const int64_t whole = count / of_bundle;
  if (whole == 0 || first % of_bundle != 0) return {{bundle, 1, first, count}};
  std::vector<BundleRun> runs = {{bundle, whole, first, of_bundle}};
  const int64_t rest = count - whole * of_bundle;
  if (rest > 0) runs.push_back({bundle + whole, 1, first + whole * of_bundle, rest});
  return runs;
}

std::string BundleText(const TrainingLayer& layer, const Bundles& bundles) {
  if (layer.groups == 1) return "";
  return fmt::format(", {} bundles of {} groups", bundles.count, bundles.groups);
}

Bundles Mapper::BundlesOf(const TrainingLayer& layer) const {
  return Bundled(layer, std::max(word_elements_, kAccess / 4), word_elements_);
}

Bundles Mapper::UpdateBundlesOf(const TrainingLayer& layer) const {
  return Bundled(layer, v_.array.cols, 1);
}

int Mapper::WindowWeights(const TrainingOp& op) const {
  const auto found = bundles_of_.find(op.layer);
  return found == bundles_of_.end() ? tensor_of_[op.Tensor(Role::kW)] : found->second;
}

// The weights of bundles lie with the first part.
LayerPlan Mapper::WindowPlan(int layer) const {
  LayerPlan plan = plan_[layer];
  if (bundles_of_.contains(layer)) {
    plan.slice = plan.block = plan.tile = BundlesOf(Mapped(layer)).outputs;
  }
  return plan;
}

void Mapper::PlaceBundles() {
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind != TrainingOpKind::kLinearForward) continue;
    const TrainingLayer l = Mapped(op.layer);
    const Bundles bundles = BundlesOf(l);
    if (bundles.groups == 1) continue;
    bundles_of_[op.layer] = Allocate(l.name + ".G", TensorRole::kActivation, ElementFormat::kFp32,
                                     bundles.outputs, l.window.taps() * TapWidth(l));
  }
}

// A row for each group of a bundle: 1 in its channels, 0 in others.
int Mapper::PlaceBundleMask(const TrainingLayer& l, const Bundles& bundles) {
  const int64_t of_group = l.from.channels / l.groups;
  const auto [found, is_new] =
      bundle_masks_.try_emplace({l.from.channels, of_group, bundles.groups}, -1);
  if (!is_new) return found->second;
  const int mask =
      Allocate(fmt::format("groups.{}", bundle_masks_.size() - 1), TensorRole::kConstant,
               ElementOf(v_.operand_format), bundles.groups, l.from.channels);
  found->second = mask;
  const ProgramTensor& t = local_[mask];
  std::vector<uint8_t> bytes(static_cast<size_t>(t.rows * t.pitch_bytes));
  for (int64_t c = 0; c < l.from.channels; ++c) {
    PutOne(t, bytes.data() + c / of_group % bundles.groups * t.pitch_bytes + c * operand_);
  }
  for (size_t node = 0; node < grid_.places.size(); ++node) {
    program_.image.push_back({t.address + node * vault_bytes_, bytes});
  }
  return mask;
}

// The weights of the bundles, at their owner.
void Mapper::AddBundles(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Bundles bundles = BundlesOf(l);
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int to = bundles_of_.at(op.layer);
  const int64_t width = TapWidth(l);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = cols * 4 / slot;
  int64_t most_rows = l.out;
  int64_t most_taps = l.window.taps();
  while (4 * most_rows * most_taps * width * 4 > Scratchpad(budget)) {
    if (most_rows > 1) {
      most_rows = CeilDiv(most_rows, 2);
    } else if (most_taps > 1) {
      most_taps = CeilDiv(most_taps, 2);
    } else {
      break;
    }
  }
  auto at_owner = [&](Step step) {
    return grid_.batch.parts > 1 ? Only(Axis::kBatch, 0, std::move(step)) : step;
  };
  const int mask_tensor = PlaceBundleMask(l, bundles);
  const int64_t mask_pitch = OutPitch(local_[mask_tensor], l.from.channels);
  const int mask = s_->AddBuffer(static_cast<uint32_t>(bundles.groups * mask_pitch), true);
  std::vector<Load> shared;
  shared.emplace_back(LoadPlain(mask_tensor, 0, bundles.groups, 0, l.from.channels, 0, mask_pitch,
                                false, mask, tag));
  lanes::Program program;
  program.body.LoadWide(0, 0).LoadOperand(1, 1).Sel(0, 1, 0, kNeverWritten).StoreWide(0, 2);
  const LoadedProgram loaded = LoadLanes(std::move(program), shared, tag);
  const int64_t together = LaneGroupsOf(width / cols);
  for (int64_t row = 0; row < l.out; row += most_rows) {
    const int64_t rows = std::min(most_rows, l.out - row);
    for (int64_t tap = 0; tap < l.window.taps(); tap += most_taps) {
      const int64_t taps = std::min(most_taps, l.window.taps() - tap);
      const int64_t pitch = RoundUp(taps * width * 4, word_);
      const int from = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), true);
      shared.emplace_back(at_owner(
          LoadPlain(weights, row, rows, tap * width, taps * width, 0, pitch, false, from, tag)));
      for (int64_t group = 0; group < bundles.groups; ++group) {
        const int results = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
        lanes::Job job;
        job.groups = static_cast<int>(together);
        job.bounds = {width / cols / together, taps, rows};
        job.level = 3;
        job.streams[0].strides = {wide, together * wide, width * 4 / slot, pitch / slot};
        job.streams[1].base = static_cast<uint32_t>(group * mask_pitch);
        job.streams[1].strides = {1, together, 0, 0};
        job.streams[2].strides = job.streams[0].strides;
        Task task;
        task.loads = std::exchange(shared, {});
        task.work.push_back(at_owner(Lanes(loaded, job, {from, mask, results, -1}, 0b100, tag)));
        task.stores.push_back(at_owner(StorePlain(to, group * l.out + row, rows, tap * width,
                                                  taps * width, pitch, results, tag)));
        AddTask(std::move(task));
      }
    }
  }
}

// Sums of bundles [output of a bundle][tap][channel] become gradients of the weights, [output of a
// group][tap][channel], in a buffer of its own; `channel` is the first.
int Mapper::AddFolding(const TrainingLayer& l, const Bundles& bundles, int sums, int64_t pitch,
                       int64_t channel, int64_t width, int64_t taps, int tag) {
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = cols * 4 / slot;
  const int64_t together = LaneGroupsOf(width / cols);
  const int mask_tensor = PlaceBundleMask(l, bundles);
  const int64_t mask_pitch = OutPitch(local_[mask_tensor], l.from.channels);
  const int mask = s_->AddBuffer(static_cast<uint32_t>(bundles.groups * mask_pitch), false);
  const int folded = s_->AddBuffer(static_cast<uint32_t>(l.out * pitch), true);
  Task task;
  task.loads.emplace_back(LoadPlain(mask_tensor, 0, bundles.groups, 0, l.from.channels, 0,
                                    mask_pitch, false, mask, tag));
  lanes::Program program;
  for (int64_t group = 0; group < bundles.groups; ++group) {
    program.body.LoadWide(0, 0, static_cast<int>(group * l.out * pitch / slot))
        .LoadOperand(1, 1, static_cast<int>(group * mask_pitch / slot))
        .Sel(2, 1, 0, group == 0 ? kNeverWritten : 2);
  }
  program.body.StoreWide(2, 2);
  const LoadedProgram loaded = LoadLanes(std::move(program), task.loads, tag);
  lanes::Job job;
  job.groups = static_cast<int>(together);
  job.bounds = {width / cols / together, taps, l.out};
  job.level = 3;
  job.streams[0].strides = {wide, together * wide, width * 4 / slot, pitch / slot};
  job.streams[1].base = static_cast<uint32_t>(channel * operand_);
  job.streams[1].strides = {1, together, 0, 0};
  job.streams[2].strides = job.streams[0].strides;
  task.work.push_back(Lanes(loaded, job, {sums, mask, folded, -1}, 0b100, tag));
  AddTask(std::move(task));
  return folded;
}

}  // namespace vaultrain
