// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Normalisation of each sample over groups of channels, or of each step (pixel) over its channels,
// as lane programs over tiles of images.
//
// A register holds the samples of a raster's group as its groups and Cols channels in its lanes. A
// unit is a group of channels or, where Cols lanes hold several, as many as these. FF takes the
// moments of all tiles, then goes over them again; BP the same with sums of gradients. Where each
// pixel is a unit, a tile is done with before the next begins. What FF found of each unit stays in
// memory for BP: "NAME.S", mean and 1 / sqrt(variance + epsilon) in each lane, an image of one
// pixel or of as many as X. An image that fits the scratchpad is loaded once.

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
Tile Mapper::NormTile(const TrainingLayer& layer, double budget, int64_t pixel,
                      const std::vector<int>& inputs) const {
  if (const auto tile = TileAsStored(inputs, Scratchpad(budget) / 4 / pixel)) return *tile;
  const bool in_rows = layer.from.height > 1;
  return FitTile(CeilDiv(layer.from.height, in_rows ? kLeastTiles : 1),
                 CeilDiv(layer.from.width, in_rows ? 1 : kLeastTiles), Scratchpad(budget) / 2,
                 [&](const Tile& t) { return t.rows * t.pixels * pixel; });
}

// Where the statistics of a part of the image lie in theirs.
Patch Mapper::StatisticsOf(const TrainingLayer& layer, const Patch& patch) {
  return layer.norm == Norm::kSteps ? patch : Patch{patch.of, 0, 1, 0, 1};
}

Mapper::NormUnits Mapper::UnitsOf(const TrainingLayer& l) const {
  const int64_t cols = v_.array.cols;
  const int64_t of_group = l.from.channels / l.groups;
  const bool whole = of_group % cols == 0 || l.groups == 1;
  const bool parts = of_group < cols && cols % of_group == 0 && (of_group & (of_group - 1)) == 0;
  if (!whole && !parts) {
    RefuseInput(
        "{}: layer {}: groups of {} channels; accepted with {} columns of the array: multiples of "
        "{}, or powers of two that divide it",
        graph_.file, l.name, of_group, cols, cols);
  }
  NormUnits units;
  units.of_steps = l.norm == Norm::kSteps;
  units.slots = whole ? CeilDiv(of_group, cols) : 1;
  units.count = whole ? l.groups : CeilDiv(l.from.channels, cols);
  units.width = static_cast<int>(whole ? cols : of_group);
  units.values = of_group * units.PixelsOfUnit(l.from.pixels());
  return units;
}

void Mapper::PlaceStatistics() {
  for (const TrainingOp& op : graph_.ops) {
    const TrainingLayer& l = graph_.layers[op.layer];
    if (op.kind != TrainingOpKind::kNormaliseForward || l.norm == Norm::kBatch) continue;
    Raster r = RasterFor(static_cast<size_t>(op.Tensor(Role::kX)));
    r.has_zeros = false;
    if (l.norm != Norm::kSteps) r.image = {1, 1, 0};
    r.image.channels = 2 * UnitsOf(l).count * v_.array.cols;
    statistics_of_[op.layer] = Allocate(l.name + ".S", TensorRole::kActivation,
                                        ElementFormat::kFp32, r.Rows(), r.image.channels);
    raster_[statistics_of_[op.layer]] = r;
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
  if (l.norm == Norm::kBatch) return AddBatchNormForward(op, tag, budget);
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
  const int64_t samples = units.of_steps ? r.samples : SamplesOfTurn(r, {{x, pitch}, {y, pitch}});
  const int64_t pixel = samples * pitch;
  const int64_t moments_pitch = OutPitch(local_[statistics], local_[statistics].cols);
  // Slots from a unit to the next.
  const int64_t unit_step = units.of_steps ? pixel / slot : units.slots;
  const int64_t moments_step = units.of_steps ? r.samples * moments_pitch / slot : wide;
  const auto second = static_cast<int>(units.count * wide);
  const int64_t per_channel = OutPitch(local_[tensor_of_[op.Tensor(Role::kW)]], channels);
  const Tile tile =
      NormTile(l, budget, pixel + (units.of_steps ? r.samples * moments_pitch : 0), {x});
  const bool at_once = units.of_steps || l.from.pixels() * pixel <= Scratchpad(budget) / kKeptShare;
  if (data_flow_[tag].empty()) {
    data_flow_[tag] =
        fmt::format("{} through the lanes {}; tiles of {} x {} pixels by {} samples",
                    local_[x].name, at_once ? "once" : "twice", tile.rows, tile.pixels, samples);
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

  // Pixels whose statistics are complete before any of them is normalised.
  const Tile region = units.of_steps ? tile : Tile{l.from.height, l.from.width};
  ForEachTile(r, samples, l.from.height, l.from.width, region, [&](const Patch& all) {
    const Patch of_statistics = StatisticsOf(l, all);
    const int moments = s_->AddBuffer(
        static_cast<uint32_t>(of_statistics.rows * of_statistics.pixels * samples * moments_pitch),
        false);
    std::vector<int> kept;  // tiles that stay for the second time
    bool begun = false;
    ForEachTile(all, tile, [&](const Patch& p) {
      const int64_t pixels = p.rows * p.pixels;
      Task task;
      task.loads = std::exchange(shared, {});
      const int in = s_->AddBuffer(static_cast<uint32_t>(pixels * pixel), false);
      AddPatchLoads(task.loads, x, p, 0, channels, pitch, in, tag);
      if (at_once) kept.push_back(in);
      lanes::Job job;
      job.bounds = {units.slots, units.PixelsOfUnit(pixels), units.Units(pixels)};
      job.level = 2;
      job.streams[0].strides = {pitch / slot, 1, pixel / slot, unit_step};
      job.streams[1].strides = {moments_pitch / slot, 0, 0, moments_step};
      AddSampleJobs(task, begun ? more : first, job, samples, {in, moments, -1, -1},
                    {pitch, moments_pitch, 0, 0}, 0b10, tag);
      begun = true;
      if (p.y + p.rows == all.y + all.rows && p.x + p.pixels == all.x + all.pixels) {
        lanes::Job statistic;
        statistic.bounds = {units.Units(pixels), 1, 1};
        statistic.level = 3;
        statistic.streams[0].strides = {moments_pitch / slot, moments_step, 0, 0};
        AddSampleJobs(task, finish, statistic, samples, {moments, -1, -1, -1},
                      {moments_pitch, 0, 0, 0}, 0b1, tag);
        AddPatchStores(task.stores, statistics, of_statistics, 0, local_[statistics].cols,
                       moments_pitch, moments, tag);
      }
      AddTask(std::move(task));
    });
    size_t next = 0;
    ForEachTile(all, tile, [&](const Patch& p) {
      const int64_t pixels = p.rows * p.pixels;
      Task task;
      int in = at_once ? kept[next++] : -1;
      if (!at_once) {
        in = s_->AddBuffer(static_cast<uint32_t>(pixels * pixel), false);
        AddPatchLoads(task.loads, x, p, 0, channels, pitch, in, tag);
      }
      lanes::Job job;
      job.bounds = {units.PixelsOfUnit(pixels), units.slots, units.Units(pixels)};
      job.level = 1;
      job.streams[0].strides = {pitch / slot, pixel / slot, 1, unit_step};
      job.streams[1] = job.streams[0];
      job.streams[2].strides = {moments_pitch / slot, 0, 0, moments_step};
      job.streams[3].strides = {0, 0, wide, units.of_steps ? 0 : units.slots * wide};
      AddSampleJobs(task, apply, job, samples, {in, in, moments, parameters},
                    {pitch, pitch, moments_pitch, 0}, 0b10, tag);
      AddPatchStores(task.stores, y, p, 0, channels, pitch, in, tag);
      AddTask(std::move(task));
    });
  });
}

void Mapper::AddNormaliseBackward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  if (l.norm == Norm::kBatch) return AddBatchNormBackward(op, tag, budget);
  const NormUnits units = UnitsOf(l);
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = op.Tensor(Role::kDx) < 0 ? -1 : tensor_of_[op.Tensor(Role::kDx)];
  const int scale = tensor_of_[op.Tensor(Role::kW)];
  const int bias = tensor_of_[op.Tensor(Role::kB)];
  const int statistics = statistics_of_.at(op.layer);
  const Raster& r = raster_.at(x);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;
  const int64_t channels = l.from.channels;
  const int64_t slots = units.count * units.slots;  // of all channels
  const int64_t pitch = LanePitch(channels);
  const int64_t width = WidthOf(dz);  // of gradients, in operands
  const int64_t z_pitch = pitch * width;
  const int64_t samples =
      units.of_steps ? r.samples
                     : SamplesOfTurn(r, {{x, pitch}, {dz, z_pitch}, {dx < 0 ? dz : dx, z_pitch}});
  const int64_t pixel = samples * pitch;
  const int64_t moments_pitch = OutPitch(local_[statistics], local_[statistics].cols);
  const auto rstd_slots = static_cast<int>(units.count * wide);
  const int64_t sums_pitch = RoundUp(2 * slots * cols * 4, std::max(kAccess, word_));
  const auto products = static_cast<int>(slots * wide);
  const int64_t result_pitch = RoundUp(3 * units.count * cols * 4, std::max(kAccess, word_));
  const int64_t per_channel = OutPitch(local_[scale], channels);
  const int64_t of_parameters = RoundUp(slots * cols * 4, std::max(kAccess, word_));
  // Slots from a unit to the next.
  const int64_t unit_step = units.of_steps ? pixel / slot : units.slots;
  const int64_t scale_step = units.of_steps ? 0 : units.slots * wide;
  const int64_t moments_step = units.of_steps ? r.samples * moments_pitch / slot : wide;
  const int64_t sums_step = units.of_steps ? r.samples * sums_pitch / slot : units.slots * wide;
  const int64_t result_step = units.of_steps ? r.samples * result_pitch / slot : wide;
  const Tile tile =
      NormTile(l, budget,
               (1 + width) * pixel +
                   (units.of_steps ? r.samples * (moments_pitch + sums_pitch + result_pitch) : 0),
               {dz});
  // The last tiles stay, as many as fit.
  const int64_t tiles = CeilDiv(l.from.height, tile.rows) * CeilDiv(l.from.width, tile.pixels);
  const int64_t fit =
      Scratchpad(budget) / kKeptShare / (tile.rows * tile.pixels * (1 + width) * pixel);
  const int64_t reloads = units.of_steps ? 0 : std::max<int64_t>(0, tiles - fit);
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} and {} through the lanes {}; tiles of {} x {} pixels by {} samples", local_[dz].name,
        local_[x].name,
        reloads == 0 ? "once" : fmt::format("twice, {} of {} tiles once", tiles - reloads, tiles),
        tile.rows, tile.pixels, samples);
  }
  const int scales = s_->AddBuffer(static_cast<uint32_t>(per_channel), true);
  const int parameter_sums = s_->AddBuffer(static_cast<uint32_t>(2 * of_parameters), true);
  std::vector<Load> shared;
  shared.push_back(GatherPerChannel({scale}, channels, scales, per_channel, tag));
  auto load = [&](lanes::Program program, unsigned wide = 0) {
    return LoadLanes(std::move(program), shared, tag, wide);
  };
  const unsigned wide_streams = WideStreams({dz});
  const LoadedProgram first = load(lanes::GroupGradientSums(products, false), wide_streams);
  const LoadedProgram more = load(lanes::GroupGradientSums(products, true), wide_streams);
  const LoadedProgram centre = load(lanes::GroupGradientCentre(products, rstd_slots));
  const LoadedProgram coefficients = load(lanes::GroupCoefficients(
      units.values, units.width, static_cast<int>(cols), products, rstd_slots, rstd_slots));
  const LoadedProgram apply = load(lanes::GroupBackward(rstd_slots, op.mask), wide_streams);
  const auto parameter_slots = static_cast<int>(of_parameters / slot);
  const LoadedProgram sum = load(lanes::GroupParameterSums(products, parameter_slots, false));
  const LoadedProgram sum_more = load(lanes::GroupParameterSums(products, parameter_slots, true));

  bool any = false;  // gradients of parameters
  const Tile region = units.of_steps ? tile : Tile{l.from.height, l.from.width};
  ForEachTile(r, samples, l.from.height, l.from.width, region, [&](const Patch& all) {
    const Patch of_statistics = StatisticsOf(l, all);
    const int64_t sets = of_statistics.rows * of_statistics.pixels * samples;
    const int moments = s_->AddBuffer(static_cast<uint32_t>(sets * moments_pitch), false);
    const int sums = s_->AddBuffer(static_cast<uint32_t>(sets * sums_pitch), false);
    const int results = s_->AddBuffer(static_cast<uint32_t>(sets * result_pitch), false);
    struct Inputs {
      int z = -1, x = -1;
    };
    std::vector<std::pair<Patch, Inputs>> second;  // in the order of the second time
    std::vector<Patch> gone;
    auto load_tile = [&](Task& task, const Patch& p) {
      const int64_t bytes = p.rows * p.pixels * pixel;
      const Inputs in = {s_->AddBuffer(static_cast<uint32_t>(bytes * width), false),
                         s_->AddBuffer(static_cast<uint32_t>(bytes), false)};
      AddPatchLoads(task.loads, dz, p, 0, channels, z_pitch, in.z, tag);
      AddPatchLoads(task.loads, x, p, 0, channels, pitch, in.x, tag);
      return in;
    };
    bool begun = false;
    ForEachTile(all, tile, [&](const Patch& p) {
      const int64_t pixels = p.rows * p.pixels;
      Task task;
      task.loads = std::exchange(shared, {});
      const Inputs in = load_tile(task, p);
      if (static_cast<int64_t>(gone.size()) < reloads) {
        gone.push_back(p);
      } else {
        second.emplace_back(p, in);
      }
      lanes::Job job;
      job.bounds = {units.PixelsOfUnit(pixels), slots, units.of_steps ? pixels : 1};
      job.level = 1;
      job.streams[0].strides = {pitch / slot, pixel / slot, 1, pixel / slot};
      job.streams[1] = job.streams[0];
      job.streams[2].strides = {sums_pitch / slot, 0, wide, sums_step};
      const LoadedProgram& add = begun ? more : first;
      AddSampleJobs(task, add, job, samples, {in.z, in.x, sums, -1}, {pitch, pitch, sums_pitch, 0},
                    0b100, tag);
      begun = true;
      if (p.y + p.rows == all.y + all.rows && p.x + p.pixels == all.x + all.pixels) {
        AddPatchLoads(task.loads, statistics, of_statistics, 0, local_[statistics].cols,
                      moments_pitch, moments, tag);
        lanes::Job of_channels;
        of_channels.bounds = {units.slots, units.Units(pixels), 1};
        of_channels.streams[0].strides = {sums_pitch / slot, wide, sums_step, 0};
        of_channels.streams[1].strides = {moments_pitch / slot, 0, moments_step, 0};
        lanes::Job of_units = of_channels;
        of_channels.level = 3;
        AddSampleJobs(task, centre, of_channels, samples, {sums, moments, -1, -1},
                      {sums_pitch, moments_pitch, 0, 0}, 0b1, tag);
        of_units.level = 1;
        of_units.streams[2].strides = {0, wide, scale_step, 0};
        of_units.streams[3].strides = {result_pitch / slot, 0, result_step, 0};
        AddSampleJobs(task, coefficients, of_units, samples, {sums, moments, scales, results},
                      {sums_pitch, moments_pitch, 0, result_pitch}, 0b1000, tag);
        const int64_t together = LaneGroupsOf(slots);
        lanes::Job of_parameters_job;
        of_parameters_job.groups = static_cast<int>(together);
        of_parameters_job.bounds = {sets, slots / together, 1};
        of_parameters_job.level = 1;
        of_parameters_job.streams[0].strides = {wide, sums_pitch / slot, together * wide, 0};
        of_parameters_job.streams[1].strides = {wide, 0, together * wide, 0};
        task.work.push_back(Lanes(std::exchange(any, true) ? sum_more : sum, of_parameters_job,
                                  {sums, parameter_sums, -1, -1}, 0b10, tag));
      }
      AddTask(std::move(task));
    });
    for (const Patch& p : gone) second.emplace_back(p, Inputs());
    if (dx < 0) return;  // of the network's input
    for (auto& [p, in] : second) {
      const int64_t pixels = p.rows * p.pixels;
      Task task;
      if (in.z < 0) in = load_tile(task, p);
      lanes::Job job;
      job.bounds = {units.PixelsOfUnit(pixels), units.slots, units.Units(pixels)};
      job.level = 1;
      job.streams[0].strides = {pitch / slot, pixel / slot, 1, unit_step};
      job.streams[1] = job.streams[0];
      job.streams[2].strides = {0, 0, wide, scale_step};
      job.streams[3].strides = {result_pitch / slot, 0, 0, result_step};
      AddSampleJobs(task, apply, job, samples, {in.z, in.x, scales, results},
                    {pitch, pitch, 0, result_pitch}, 0b1, tag);
      AddPatchStores(task.stores, dx, p, 0, channels, z_pitch, in.z, tag);
      AddTask(std::move(task));
    }
  });
  updates_ = true;
  for (const bool take_step : {false, true}) {
    if (!take_step && !keep_gradients_) continue;
    AddWindowStep(bias, 0, 1, 0, channels, parameter_sums, 0, of_parameters, 0, true, take_step,
                  tag);
    AddWindowStep(scale, 0, 1, 0, channels, parameter_sums, of_parameters, of_parameters, 0, true,
                  take_step, tag);
  }
}

}  // namespace vaultrain
