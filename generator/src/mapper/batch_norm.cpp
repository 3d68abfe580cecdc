// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Normalisation of each channel over the whole batch, as lane programs over tiles of images.
//
// A register holds the samples of a raster's group as its groups and Cols channels in its lanes.
// FF sums each channel and its squares, over the pixels of a sample, then over the samples of the
// node, then over the nodes; BP the same with gradients. The first node of the batch makes of the
// sums what all others then get from its memory: rows of "NAME.S",
//
//   FF  mean, 1 / sqrt(variance + epsilon)
//   BP  sum of dZ, sum of dZ * normalised X, both over the whole batch
//
// and keeps the running mean and variance, with which the stream "infer" normalises instead.
// Samples that fill up a group count in no sum, and their gradients stay 0.

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

namespace {

// The samples of a node stay in the scratchpad between the two times where they are at most this
// part of it.
constexpr int64_t kKeptShare = 4;

constexpr int kOwner = 0;  // part of the batch

enum StatisticsRow : int64_t { kMoments = 0, kGradients = 2, kStatisticsRows = 4 };

}  // namespace

// What both phases share.
struct Mapper::BatchNorm {
  int64_t channels = 0, slots = 0;  // slots of Cols channels
  int64_t count = 0;                // values of a channel
  int64_t wide = 0;                 // slots of fp32 in one of operands
  int64_t pitch = 0, pixel = 0;     // bytes of a row and of a pixel of all samples of a group
  int64_t row = 0;                  // bytes of fp32 values of all channels
  int64_t sums_pitch = 0;           // of a sample: two rows
  int row_slots = 0;
  Raster raster;

  // Of a group: the rest of it is no part of the batch.
  int64_t Samples(int64_t group, int64_t batch) const {
    return std::min(raster.samples, batch - group * raster.samples);
  }
};

Mapper::BatchNorm Mapper::BatchNormOf(const TrainingOp& op) const {
  const TrainingLayer& l = graph_.layers[op.layer];
  const int64_t cols = v_.array.cols;
  BatchNorm n;
  n.channels = l.from.channels;
  n.slots = CeilDiv(n.channels, cols);
  n.count = graph_.batch * l.from.pixels();
  n.wide = 4 / operand_;
  n.raster = raster_.at(tensor_of_[op.Tensor(Role::kX)]);
  n.pitch = LanePitch(n.channels);
  n.pixel = n.raster.samples * n.pitch;
  n.row = RoundUp(n.slots * cols * 4, std::max(kAccess, word_));
  n.sums_pitch = RoundUp(2 * n.slots * cols * 4, std::max(kAccess, word_));
  n.row_slots = static_cast<int>(n.row / (cols * operand_));
  return n;
}

void Mapper::PlaceBatchNorms() {
  for (const TrainingOp& op : graph_.ops) {
    const TrainingLayer& l = graph_.layers[op.layer];
    if (op.kind != TrainingOpKind::kNormaliseForward || l.norm != Norm::kBatch) continue;
    statistics_of_[op.layer] =
        Allocate(l.name + ".S", TensorRole::kActivation, ElementFormat::kFp32, kStatisticsRows,
                 CeilDiv(l.from.channels, v_.array.cols) * v_.array.cols);
  }
}

// Two rows of the statistics, from their owner to all nodes.
Load Mapper::GatherStatistics(int tensor, int64_t row, const BatchNorm& n, int buffer,
                              int tag) const {
  Piece piece{kOwner, 0, 2, n.row, {}};
  piece.loads.push_back(
      LoadPlain(tensor, row, 2, 0, local_[tensor].cols, 0, n.row, false, buffer, tag));
  std::vector<Piece> pieces;
  pieces.push_back(std::move(piece));
  return Gather(Axis::kBatch, buffer, n.row, std::move(pieces), tag);
}

// Of a job that goes over pixels or over slots of channels, one a group.
lanes::Job Mapper::ChannelJob(const BatchNorm& n) const {
  lanes::Job job;
  const int64_t together = LaneGroupsOf(n.slots);
  job.groups = static_cast<int>(together);
  job.bounds = {1, n.slots / together, 1};
  job.level = 3;
  for (lanes::Stream& stream : job.streams) stream.strides = {n.wide, 0, together * n.wide, 0};
  return job;
}

// Sums of the samples in a group, two of each channel, joined to those of the node.
Step Mapper::JoinSums(const BatchNorm& n, const LoadedProgram& program, int sums, int64_t samples,
                      int totals, int tag) const {
  lanes::Job job = ChannelJob(n);
  job.bounds[0] = samples;
  job.level = 1;
  job.streams[0].strides[1] = n.sums_pitch / (v_.array.cols * operand_);
  return Lanes(program, job, {sums, totals, -1, -1}, 0b10, tag);
}

// Over all nodes; the buffer is whole at the owner alone.
int Mapper::AddSumOfNodes(Task& task, const BatchNorm& n, int totals, int tag) {
  if (grid_.batch.parts == 1) return totals;
  const int sum = s_->AddBuffer(static_cast<uint32_t>(2 * n.row), false);
  task.work.push_back(
      Reduce(Axis::kBatch, kOwner, totals, 0, n.row, 2, n.slots * v_.array.cols * 4, sum, tag));
  task.work.push_back(Summed(Axis::kBatch, kOwner, sum, tag));
  return sum;
}

Step Mapper::AtOwner(Step step) const {
  return grid_.batch.parts > 1 ? Only(Axis::kBatch, kOwner, std::move(step)) : step;
}

// Running means and 1 / sqrt(variance + epsilon) in a buffer.
void Mapper::AddRunningStatistics(Task& task, const TrainingOp& op, const BatchNorm& n, int buffer,
                                  int tag) {
  const LoadedProgram finish = LoadLanes(
      lanes::RunningStatistics(graph_.layers[op.layer].epsilon, n.row_slots), task.loads, tag);
  task.loads.push_back(
      GatherPerChannel({tensor_of_[op.Tensor(Role::kMean)], tensor_of_[op.Tensor(Role::kVariance)]},
                       n.channels, buffer, n.row, tag));
  task.work.push_back(Lanes(finish, ChannelJob(n), {buffer, -1, -1, -1}, 0b1, tag));
}

void Mapper::AddBatchNormForward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer& l = graph_.layers[op.layer];
  const BatchNorm n = BatchNormOf(op);
  const Raster& r = n.raster;
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int mean = tensor_of_[op.Tensor(Role::kMean)];
  const int variance = tensor_of_[op.Tensor(Role::kVariance)];
  const int statistics = statistics_of_.at(op.layer);
  const int64_t slot = v_.array.cols * operand_;
  const Tile tile = NormTile(l, budget, n.pixel, {x});
  const bool of_batch = trains_ && !l.fixed;
  const bool at_once =
      of_batch && r.groups * l.from.pixels() * n.pixel <= Scratchpad(budget) / kKeptShare;
  data_flow_[tag] = fmt::format(
      "{} through the lanes {}; statistics of {} samples{}; tiles of {} x {} pixels by {} samples",
      local_[x].name, at_once || !of_batch ? "once" : "twice", graph_.batch,
      grid_.batch.parts > 1 ? fmt::format(" summed over {} nodes", grid_.batch.parts) : "",
      tile.rows, tile.pixels, r.samples);

  const int64_t per_channel = OutPitch(local_[mean], n.channels);
  const int parameters = s_->AddBuffer(static_cast<uint32_t>(2 * per_channel), true);
  const int moments = s_->AddBuffer(static_cast<uint32_t>(2 * n.row), true);
  std::vector<Load> shared;
  auto load = [&](lanes::Program program) { return LoadLanes(std::move(program), shared, tag); };
  auto load_tile = [&](Task& task, const Patch& p) {
    const int in = s_->AddBuffer(static_cast<uint32_t>(p.rows * p.pixels * n.pixel), false);
    AddPatchLoads(task.loads, x, p, 0, n.channels, n.pitch, in, tag);
    return in;
  };
  std::vector<int> kept;  // tiles that stay for the second time
  if (of_batch) {
    const auto squares = static_cast<int>(n.slots * n.wide);
    const LoadedProgram first = load(lanes::GroupMoments(squares, false));
    const LoadedProgram more = load(lanes::GroupMoments(squares, true));
    const LoadedProgram join = load(lanes::GroupParameterSums(squares, n.row_slots, false));
    const LoadedProgram join_more = load(lanes::GroupParameterSums(squares, n.row_slots, true));
    const LoadedProgram finish = load(lanes::BatchStatistics(
        n.count, l.epsilon, l.momentum, n.row_slots, static_cast<int>(per_channel / slot)));
    const int totals = s_->AddBuffer(static_cast<uint32_t>(2 * n.row), true);
    for (int64_t g = 0; g < r.groups; ++g) {
      const int64_t samples = n.Samples(g, local_batch_);
      const int sums = s_->AddBuffer(static_cast<uint32_t>(r.samples * n.sums_pitch), false);
      bool begun = false;
      ForEachTile(Patch{{g, 0, r.samples}, 0, l.from.height, 0, l.from.width}, tile,
                  [&](const Patch& p) {
                    Task task;
                    task.loads = std::exchange(shared, {});
                    const int in = load_tile(task, p);
                    if (at_once) kept.push_back(in);
                    lanes::Job job;
                    job.bounds = {p.rows * p.pixels, 1, n.slots};
                    job.level = 2;
                    job.streams[0].strides = {n.pitch / slot, n.pixel / slot, 0, 1};
                    job.streams[1].strides = {n.sums_pitch / slot, 0, 0, n.wide};
                    AddSampleJobs(task, std::exchange(begun, true) ? more : first, job, samples,
                                  {in, sums, -1, -1}, {n.pitch, n.sums_pitch, 0, 0}, 0b10, tag);
                    if (p.y + p.rows == l.from.height && p.x + p.pixels == l.from.width) {
                      task.work.push_back(
                          JoinSums(n, g > 0 ? join_more : join, sums, samples, totals, tag));
                    }
                    AddTask(std::move(task));
                  });
    }
    // Tokens for sums come in the order in which the sums were begun.
    FlushLate();
    Task task;
    const int sum = AddSumOfNodes(task, n, totals, tag);
    const int running = s_->AddBuffer(static_cast<uint32_t>(2 * per_channel), false);
    for (const int which : {0, 1}) {
      task.loads.emplace_back(
          AtOwner(LoadPlain(which == 0 ? mean : variance, 0, 1, 0, n.channels, 0, per_channel,
                            false, running, tag, which * per_channel)));
      task.stores.push_back(AtOwner(StorePlain(which == 0 ? mean : variance, 0, 1, 0, n.channels,
                                               per_channel, running, tag, which * per_channel)));
    }
    task.work.push_back(AtOwner(Lanes(finish, ChannelJob(n), {sum, running, -1, -1}, 0b11, tag)));
    task.stores.push_back(
        AtOwner(StorePlain(statistics, kMoments, 2, 0, local_[statistics].cols, n.row, sum, tag)));
    AddTask(std::move(task));
    shared.push_back(GatherStatistics(statistics, kMoments, n, moments, tag));
  } else {
    Task task;
    AddRunningStatistics(task, op, n, moments, tag);
    AddTask(std::move(task));
  }

  shared.push_back(
      GatherPerChannel({tensor_of_[op.Tensor(Role::kW)], tensor_of_[op.Tensor(Role::kB)]},
                       n.channels, parameters, per_channel, tag));
  const LoadedProgram apply =
      load(lanes::GroupForward(n.row_slots, static_cast<int>(per_channel / slot), op.relu));
  size_t next = 0;
  ForEachTile(r, r.samples, l.from.height, l.from.width, tile, [&](const Patch& p) {
    Task task;
    task.loads = std::exchange(shared, {});
    const int in = at_once ? kept[next++] : load_tile(task, p);
    lanes::Job job;
    job.bounds = {p.rows * p.pixels, n.slots, 1};
    job.level = 1;
    job.streams[0].strides = {n.pitch / slot, n.pixel / slot, 1, 0};
    job.streams[1] = job.streams[0];
    job.streams[2].strides = {0, 0, n.wide, 0};
    job.streams[3].strides = {0, 0, n.wide, 0};
    AddSampleJobs(task, apply, job, n.Samples(p.of.group, local_batch_),
                  {in, in, moments, parameters}, {n.pitch, n.pitch, 0, 0}, 0b10, tag);
    AddPatchStores(task.stores, y, p, 0, n.channels, n.pitch, in, tag);
    AddTask(std::move(task));
  });
}

void Mapper::AddBatchNormBackward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer& l = graph_.layers[op.layer];
  const BatchNorm n = BatchNormOf(op);
  const Raster& r = n.raster;
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = op.Tensor(Role::kDx) < 0 ? -1 : tensor_of_[op.Tensor(Role::kDx)];
  const int scale = tensor_of_[op.Tensor(Role::kW)];
  const int bias = tensor_of_[op.Tensor(Role::kB)];
  const int statistics = statistics_of_.at(op.layer);
  const int64_t slot = v_.array.cols * operand_;
  const int64_t width = WidthOf(dz);  // of gradients, in operands
  const int64_t both = (1 + width) * n.pixel;
  const Tile tile = NormTile(l, budget, both, {dz});
  const bool at_once = r.groups * l.from.pixels() * both <= Scratchpad(budget) / kKeptShare;
  data_flow_[tag] = fmt::format(
      "{} and {} through the lanes {}; sums of {} samples{}; tiles of {} x {} pixels by {} samples",
      local_[dz].name, local_[x].name, at_once ? "once" : "twice", graph_.batch,
      grid_.batch.parts > 1 ? fmt::format(" over {} nodes", grid_.batch.parts) : "", tile.rows,
      tile.pixels, r.samples);

  const int64_t per_channel = OutPitch(local_[scale], n.channels);
  const int scales = s_->AddBuffer(static_cast<uint32_t>(per_channel), true);
  const int moments = s_->AddBuffer(static_cast<uint32_t>(2 * n.row), true);
  const int totals = s_->AddBuffer(static_cast<uint32_t>(2 * n.row), true);  // of the node
  const int all = s_->AddBuffer(static_cast<uint32_t>(2 * n.row), true);     // of all nodes
  const int results = s_->AddBuffer(static_cast<uint32_t>(3 * n.row), true);
  const auto products = static_cast<int>(n.slots * n.wide);
  std::vector<Load> shared;
  auto load = [&](lanes::Program program, unsigned wide = 0) {
    return LoadLanes(std::move(program), shared, tag, wide);
  };
  const unsigned wide_streams = WideStreams({dz});
  const LoadedProgram first = load(lanes::GroupGradientSums(products, false), wide_streams);
  const LoadedProgram more = load(lanes::GroupGradientSums(products, true), wide_streams);
  const LoadedProgram join = load(lanes::GroupParameterSums(products, n.row_slots, false));
  const LoadedProgram join_more = load(lanes::GroupParameterSums(products, n.row_slots, true));
  struct Inputs {
    int z = -1, x = -1;
  };
  auto load_tile = [&](Task& task, const Patch& p) {
    const int64_t bytes = p.rows * p.pixels * n.pixel;
    const Inputs in = {s_->AddBuffer(static_cast<uint32_t>(bytes * width), false),
                       s_->AddBuffer(static_cast<uint32_t>(bytes), false)};
    AddPatchLoads(task.loads, dz, p, 0, n.channels, n.pitch * width, in.z, tag);
    AddPatchLoads(task.loads, x, p, 0, n.channels, n.pitch, in.x, tag);
    return in;
  };
  std::vector<Inputs> kept;
  for (int64_t g = 0; g < r.groups; ++g) {
    const int64_t samples = n.Samples(g, local_batch_);
    const int sums = s_->AddBuffer(static_cast<uint32_t>(r.samples * n.sums_pitch), false);
    bool begun = false;
    ForEachTile(
        Patch{{g, 0, r.samples}, 0, l.from.height, 0, l.from.width}, tile, [&](const Patch& p) {
          Task task;
          task.loads = std::exchange(shared, {});
          const Inputs in = load_tile(task, p);
          if (at_once) kept.push_back(in);
          lanes::Job job;
          job.bounds = {p.rows * p.pixels, n.slots, 1};
          job.level = 1;
          job.streams[0].strides = {n.pitch / slot, n.pixel / slot, 1, 0};
          job.streams[1] = job.streams[0];
          job.streams[2].strides = {n.sums_pitch / slot, 0, n.wide, 0};
          AddSampleJobs(task, std::exchange(begun, true) ? more : first, job, samples,
                        {in.z, in.x, sums, -1}, {n.pitch, n.pitch, n.sums_pitch, 0}, 0b100, tag);
          if (p.y + p.rows == l.from.height && p.x + p.pixels == l.from.width) {
            task.work.push_back(JoinSums(n, g > 0 ? join_more : join, sums, samples, totals, tag));
          }
          AddTask(std::move(task));
        });
  }
  {
    // Tokens for sums come in the order in which the sums were begun.
    FlushLate();
    Task task;
    const LoadedProgram centre =
        LoadLanes(lanes::GroupGradientCentre(n.row_slots, n.row_slots), task.loads, tag);
    if (l.fixed) {
      AddRunningStatistics(task, op, n, moments, tag);
    } else {
      task.loads.push_back(GatherStatistics(statistics, kMoments, n, moments, tag));
    }
    task.work.push_back(Lanes(centre, ChannelJob(n), {totals, moments, -1, -1}, 0b1, tag));
    if (!l.fixed) {
      const int sum = AddSumOfNodes(task, n, totals, tag);
      task.stores.push_back(AtOwner(
          StorePlain(statistics, kGradients, 2, 0, local_[statistics].cols, n.row, sum, tag)));
    }
    AddTask(std::move(task));
  }
  if (dx >= 0) {
    // Statistics that do not depend on a value have no gradient that it gets.
    if (l.fixed) AddZeros(all, 0, n.row, 2, n.row, tag);
    Task task;
    const LoadedProgram coefficients = LoadLanes(
        lanes::GroupCoefficients(n.count, 1, v_.array.cols, n.row_slots, n.row_slots, n.row_slots),
        task.loads, tag);
    if (!l.fixed) task.loads.push_back(GatherStatistics(statistics, kGradients, n, all, tag));
    task.loads.push_back(GatherPerChannel({scale}, n.channels, scales, per_channel, tag));
    lanes::Job job = ChannelJob(n);
    job.level = 1;
    task.work.push_back(Lanes(coefficients, job, {all, moments, scales, results}, 0b1000, tag));
    AddTask(std::move(task));
  }
  const LoadedProgram apply = load(lanes::GroupBackward(n.row_slots, op.mask), wide_streams);
  size_t next = 0;
  auto apply_to = [&](const Patch& p) {
    Task task;
    task.loads = std::exchange(shared, {});
    const Inputs in = at_once ? kept[next++] : load_tile(task, p);
    lanes::Job job;
    job.bounds = {p.rows * p.pixels, n.slots, 1};
    job.level = 1;
    job.streams[0].strides = {n.pitch / slot, n.pixel / slot, 1, 0};
    job.streams[1] = job.streams[0];
    job.streams[2].strides = {0, 0, n.wide, 0};
    job.streams[3].strides = {0, 0, n.wide, 0};
    AddSampleJobs(task, apply, job, n.Samples(p.of.group, local_batch_),
                  {in.z, in.x, scales, results}, {n.pitch, n.pitch, 0, 0}, 0b1, tag);
    AddPatchStores(task.stores, dx, p, 0, n.channels, n.pitch * width, in.z, tag);
    AddTask(std::move(task));
  };
  if (dx >= 0) ForEachTile(r, r.samples, l.from.height, l.from.width, tile, apply_to);
  updates_ = true;
  for (const bool take_step : {false, true}) {
    if (!take_step && !keep_gradients_) continue;
    AddWindowStep(bias, 0, 1, 0, n.channels, totals, 0, n.row, 0, true, take_step, tag);
    AddWindowStep(scale, 0, 1, 0, n.channels, totals, n.row, n.row, 0, true, take_step, tag);
  }
}

}  // namespace vaultrain
