// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Normalisation of each sample over groups of channels, as lane programs over tiles of images.
//
// A register holds the samples of a raster's group as its groups and Cols channels in its lanes. A
// unit is a group of channels or, where Cols lanes hold several, as many as these. FF takes the
// moments of all tiles, then goes over them again; BP the same with sums of gradients. What FF
// found of each unit stays in memory for BP: "NAME.S", mean and 1 / sqrt(variance + epsilon) in
// each lane. An image that fits the scratchpad is loaded once.

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/error.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

namespace {

// Images stay in the scratchpad between the two times where they are at most this part of it.
constexpr int64_t kKeptShare = 4;

// Tiles of an image, at least: the lanes begin with one while the array makes the next, and the
// other way round.
constexpr int64_t kLeastTiles = 4;

}  // namespace

// Of pixels that take so many bytes.
Tile Mapper::NormTile(const TrainingLayer& layer, double budget, int64_t pixel) const {
  return FitTile(CeilDiv(layer.from.height, kLeastTiles), layer.from.width, Scratchpad(budget) / 2,
                 [&](const Tile& t) { return t.rows * t.pixels * pixel; });
}

Mapper::NormUnits Mapper::UnitsOf(const TrainingLayer& l) const {
  const int64_t cols = v_.array.cols;
  const int64_t of_group = l.from.channels / l.groups;
  const bool whole = of_group % cols == 0 || l.groups == 1;
  const bool parts = of_group < cols && cols % of_group == 0 && (of_group & (of_group - 1)) == 0 &&
                     l.from.channels % cols == 0;
  if (!whole && !parts) {
    RefuseInput(
        "{}: layer {}: groups of {} channels; accepted with {} columns of the array: multiples of "
        "{}, or powers of two that divide it",
        graph_.file, l.name, of_group, cols, cols);
  }
  NormUnits units;
  units.slots = whole ? CeilDiv(of_group, cols) : 1;
  units.count = whole ? l.groups : l.from.channels / cols;
  units.width = static_cast<int>(whole ? cols : of_group);
  units.values = of_group * l.from.pixels();
  return units;
}

void Mapper::PlaceStatistics() {
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind != TrainingOpKind::kNormaliseForward) continue;
    const TrainingLayer& l = graph_.layers[op.layer];
    const int64_t groups = CeilDiv(local_batch_, word_elements_);
    statistics_of_[op.layer] =
        Allocate(l.name + ".S", TensorRole::kActivation, ElementFormat::kFp32,
                 groups * word_elements_, 2 * UnitsOf(l).count * v_.array.cols);
  }
}

// Scale and bias, one behind the other.
Load Mapper::GatherPerChannel(const std::vector<int>& parameters, int64_t channels, int buffer,
                              int64_t pitch, int tag) const {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const int64_t offset = static_cast<int64_t>(i) * pitch;
    Piece piece{0, offset, 1, pitch, {}};
    piece.loads.push_back(
        LoadPlain(parameters[i], 0, 1, 0, channels, 0, pitch, false, buffer, tag, offset));
    pieces.push_back(std::move(piece));
  }
  return Gather(Axis::kBatch, buffer, pitch, std::move(pieces), tag);
}

void Mapper::AddNormaliseForward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  const NormUnits units = UnitsOf(l);
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int statistics = statistics_of_.at(op.layer);
  const Raster& r = raster_.at(x);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;  // slots
  const int64_t channels = l.from.channels;
  const int64_t pitch = OutPitch(local_[y], channels);
  const int64_t pixel = r.samples * pitch;
  const int64_t unit_step = units.slots;
  const int64_t moments_pitch = OutPitch(local_[statistics], local_[statistics].cols);
  const auto second = static_cast<int>(units.count * wide);
  const int64_t per_channel = OutPitch(local_[tensor_of_[op.Tensor(Role::kW)]], channels);
  const Tile tile = NormTile(l, budget, pixel);
  const bool at_once = l.from.pixels() * pixel <= Scratchpad(budget) / kKeptShare;
  if (data_flow_[tag].empty()) {
    data_flow_[tag] =
        fmt::format("{} through the lanes {}; tiles of {} x {} pixels by {} samples",
                    local_[x].name, at_once ? "once" : "twice", tile.rows, tile.pixels, r.samples);
  }
  const int parameters = s_->AddBuffer(static_cast<uint32_t>(2 * per_channel), true);
  std::vector<Load> shared;
  shared.push_back(
      GatherPerChannel({tensor_of_[op.Tensor(Role::kW)], tensor_of_[op.Tensor(Role::kB)]}, channels,
                       parameters, per_channel, tag));
  auto load = [&](lanes::Program program) { return LoadLanes(std::move(program), shared, tag); };
  const LoadedProgram first = load(lanes::GroupMoments(second, false));
  const LoadedProgram more = load(lanes::GroupMoments(second, true));
  const LoadedProgram finish = load(
      lanes::GroupStatistics(units.values, l.epsilon, units.width, static_cast<int>(cols), second));
  const LoadedProgram apply =
      load(lanes::GroupForward(second, static_cast<int>(per_channel / slot), op.relu));

  for (int64_t g = 0; g < r.groups; ++g) {
    const int moments = s_->AddBuffer(static_cast<uint32_t>(r.samples * moments_pitch), false);
    std::vector<int> kept;  // tiles that stay for the second time
    bool begun = false;
    ForEachTile(1, l.from.height, l.from.width, tile, [&](Patch p) {
      p.group = g;
      Task task;
      task.loads = std::exchange(shared, {});
      const int in = s_->AddBuffer(static_cast<uint32_t>(p.rows * p.pixels * pixel), false);
      AddPatchLoads(task.loads, x, p, 0, channels, pitch, in, tag);
      if (at_once) kept.push_back(in);
      lanes::Job job;
      job.bounds = {units.slots, p.rows * p.pixels, units.count};
      job.level = 2;
      job.streams[0].strides = {pitch / slot, 1, pixel / slot, unit_step};
      job.streams[1].strides = {moments_pitch / slot, 0, 0, wide};
      AddSampleJobs(task, begun ? more : first, job, r.samples, {in, moments, -1, -1},
                    {pitch, moments_pitch, 0, 0}, 0b10, tag);
      begun = true;
      if (p.y + p.rows == l.from.height && p.x + p.pixels == l.from.width) {
        lanes::Job statistic;
        statistic.bounds = {units.count, 1, 1};
        statistic.level = 3;
        statistic.streams[0].strides = {moments_pitch / slot, wide, 0, 0};
        AddSampleJobs(task, finish, statistic, r.samples, {moments, -1, -1, -1},
                      {moments_pitch, 0, 0, 0}, 0b1, tag);
        task.stores.push_back(StorePlain(statistics, g * r.samples, r.samples, 0,
                                         local_[statistics].cols, moments_pitch, moments, tag));
      }
      AddTask(std::move(task));
    });
    size_t next = 0;
    ForEachTile(1, l.from.height, l.from.width, tile, [&](Patch p) {
      p.group = g;
      Task task;
      int in = at_once ? kept[next++] : -1;
      if (!at_once) {
        in = s_->AddBuffer(static_cast<uint32_t>(p.rows * p.pixels * pixel), false);
        AddPatchLoads(task.loads, x, p, 0, channels, pitch, in, tag);
      }
      lanes::Job job;
      job.bounds = {p.rows * p.pixels, units.slots, units.count};
      job.level = 1;
      job.streams[0].strides = {pitch / slot, pixel / slot, 1, unit_step};
      job.streams[1] = job.streams[0];
      job.streams[2].strides = {moments_pitch / slot, 0, 0, wide};
      job.streams[3].strides = {0, 0, wide, unit_step * wide};
      AddSampleJobs(task, apply, job, r.samples, {in, in, moments, parameters},
                    {pitch, pitch, moments_pitch, 0}, 0b10, tag);
      AddPatchStores(task.stores, y, p, 0, channels, pitch, in, tag);
      AddTask(std::move(task));
    });
  }
}

void Mapper::AddNormaliseBackward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  const NormUnits units = UnitsOf(l);
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const int scale = tensor_of_[op.Tensor(Role::kW)];
  const int bias = tensor_of_[op.Tensor(Role::kB)];
  const int statistics = statistics_of_.at(op.layer);
  const Raster& r = raster_.at(x);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;
  const int64_t channels = l.from.channels;
  const int64_t slots = units.count * units.slots;  // of all channels
  const int64_t pitch = OutPitch(local_[dx], channels);
  const int64_t pixel = r.samples * pitch;
  const int64_t moments_pitch = OutPitch(local_[statistics], local_[statistics].cols);
  const auto rstd_slots = static_cast<int>(units.count * wide);
  const int64_t sums_pitch = RoundUp(2 * slots * cols * 4, std::max(kAccess, word_));
  const auto products = static_cast<int>(slots * wide);
  const int64_t result_pitch = RoundUp(3 * units.count * cols * 4, std::max(kAccess, word_));
  const int64_t per_channel = OutPitch(local_[scale], channels);
  const int64_t of_parameters = RoundUp(slots * cols * 4, std::max(kAccess, word_));
  const Tile tile = NormTile(l, budget, 2 * pixel);
  const bool at_once = l.from.pixels() * 2 * pixel <= Scratchpad(budget) / kKeptShare;
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} and {} through the lanes {}; tiles of {} x {} pixels by {} samples", local_[dz].name,
        local_[x].name, at_once ? "once" : "twice", tile.rows, tile.pixels, r.samples);
  }
  const int scales = s_->AddBuffer(static_cast<uint32_t>(per_channel), true);
  const int parameter_sums = s_->AddBuffer(static_cast<uint32_t>(2 * of_parameters), true);
  std::vector<Load> shared;
  shared.push_back(GatherPerChannel({scale}, channels, scales, per_channel, tag));
  auto load = [&](lanes::Program program) { return LoadLanes(std::move(program), shared, tag); };
  const LoadedProgram first = load(lanes::GroupGradientSums(products, false));
  const LoadedProgram more = load(lanes::GroupGradientSums(products, true));
  const LoadedProgram centre = load(lanes::GroupGradientCentre(products, rstd_slots));
  const LoadedProgram coefficients = load(lanes::GroupCoefficients(
      units.values, units.width, static_cast<int>(cols), products, rstd_slots, rstd_slots));
  const LoadedProgram apply = load(lanes::GroupBackward(rstd_slots, op.mask));
  const auto parameter_slots = static_cast<int>(of_parameters / slot);
  const LoadedProgram sum = load(lanes::GroupParameterSums(products, parameter_slots, false));
  const LoadedProgram sum_more = load(lanes::GroupParameterSums(products, parameter_slots, true));

  for (int64_t g = 0; g < r.groups; ++g) {
    const int moments = s_->AddBuffer(static_cast<uint32_t>(r.samples * moments_pitch), false);
    const int sums = s_->AddBuffer(static_cast<uint32_t>(r.samples * sums_pitch), false);
    const int results = s_->AddBuffer(static_cast<uint32_t>(r.samples * result_pitch), false);
    struct Inputs {
      int z = -1, x = -1;
    };
    std::vector<Inputs> kept;
    auto load_tile = [&](Task& task, const Patch& p) {
      const auto bytes = static_cast<uint32_t>(p.rows * p.pixels * pixel);
      const Inputs in = {s_->AddBuffer(bytes, false), s_->AddBuffer(bytes, false)};
      AddPatchLoads(task.loads, dz, p, 0, channels, pitch, in.z, tag);
      AddPatchLoads(task.loads, x, p, 0, channels, pitch, in.x, tag);
      return in;
    };
    bool begun = false;
    ForEachTile(1, l.from.height, l.from.width, tile, [&](Patch p) {
      p.group = g;
      Task task;
      task.loads = std::exchange(shared, {});
      const Inputs in = load_tile(task, p);
      if (at_once) kept.push_back(in);
      lanes::Job job;
      job.bounds = {p.rows * p.pixels, slots, 1};
      job.level = 1;
      job.streams[0].strides = {pitch / slot, pixel / slot, 1, 0};
      job.streams[1] = job.streams[0];
      job.streams[2].strides = {sums_pitch / slot, 0, wide, 0};
      const LoadedProgram& add = begun ? more : first;
      AddSampleJobs(task, add, job, r.samples, {in.z, in.x, sums, -1},
                    {pitch, pitch, sums_pitch, 0}, 0b100, tag);
      begun = true;
      if (p.y + p.rows == l.from.height && p.x + p.pixels == l.from.width) {
        task.loads.emplace_back(LoadPlain(statistics, g * r.samples, r.samples, 0,
                                          local_[statistics].cols, 0, moments_pitch, false, moments,
                                          tag));
        lanes::Job of_channels;
        of_channels.bounds = {units.slots, units.count, 1};
        of_channels.streams[0].strides = {sums_pitch / slot, wide, units.slots * wide, 0};
        of_channels.streams[1].strides = {moments_pitch / slot, 0, wide, 0};
        lanes::Job of_units = of_channels;
        of_channels.level = 3;
        AddSampleJobs(task, centre, of_channels, r.samples, {sums, moments, -1, -1},
                      {sums_pitch, moments_pitch, 0, 0}, 0b1, tag);
        of_units.level = 1;
        of_units.streams[2].strides = {0, wide, units.slots * wide, 0};
        of_units.streams[3].strides = {result_pitch / slot, 0, wide, 0};
        AddSampleJobs(task, coefficients, of_units, r.samples, {sums, moments, scales, results},
                      {sums_pitch, moments_pitch, 0, result_pitch}, 0b1000, tag);
        const int64_t together = LaneGroupsOf(slots);
        lanes::Job of_parameters_job;
        of_parameters_job.groups = static_cast<int>(together);
        of_parameters_job.bounds = {r.samples, slots / together, 1};
        of_parameters_job.level = 1;
        of_parameters_job.streams[0].strides = {wide, sums_pitch / slot, together * wide, 0};
        of_parameters_job.streams[1].strides = {wide, 0, together * wide, 0};
        const LoadedProgram& total = g == 0 ? sum : sum_more;
        task.work.push_back(
            Lanes(total, of_parameters_job, {sums, parameter_sums, -1, -1}, 0b10, tag));
      }
      AddTask(std::move(task));
    });
    size_t next = 0;
    ForEachTile(1, l.from.height, l.from.width, tile, [&](Patch p) {
      p.group = g;
      Task task;
      const Inputs in = at_once ? kept[next++] : load_tile(task, p);
      lanes::Job job;
      job.bounds = {p.rows * p.pixels, units.slots, units.count};
      job.level = 1;
      job.streams[0].strides = {pitch / slot, pixel / slot, 1, units.slots};
      job.streams[1] = job.streams[0];
      job.streams[2].strides = {0, 0, wide, units.slots * wide};
      job.streams[3].strides = {result_pitch / slot, 0, 0, wide};
      AddSampleJobs(task, apply, job, r.samples, {in.z, in.x, scales, results},
                    {pitch, pitch, 0, result_pitch}, 0b1, tag);
      AddPatchStores(task.stores, dx, p, 0, channels, pitch, in.z, tag);
      AddTask(std::move(task));
    });
  }
  for (const bool take_step : {false, true}) {
    if (!take_step && !keep_gradients_) continue;
    AddWindowStep(bias, 0, 1, 0, channels, parameter_sums, 0, of_parameters, 0, true, take_step,
                  tag);
    AddWindowStep(scale, 0, 1, 0, channels, parameter_sums, of_parameters, of_parameters, 0, true,
                  take_step, tag);
  }
}

}  // namespace vaultrain
