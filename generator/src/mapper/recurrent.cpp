// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Recurrent layers: the samples of a raster's group go through all steps of their sequence in the
// scratchpad, where all weights of the layer lie.
//
//   FF  sums = X[t] W^T + b, then sums += h U^T, both by the array; the cell by the lanes
//   BP  the rest of dh = dsums[t + 1] U, by the array; the cell by the lanes
//
// Sums and states are fp32 and never leave the scratchpad; what BP needs of a cell lies in memory
// as "NAME.K". While the lanes work on a step, the array makes W's part of the next one; several
// groups, as many as there is room for, take turns, and the two halves of each: the array has no
// use for more rows than columns, and while it works on one half the lanes work on the other. UP
// and dX are those of linear layers (training_graph.h).

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/error.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

namespace {

// Parts of NAME.K: gates, tanh c and the state before.
int64_t KeptOf(Cell cell) { return cell == Cell::kLstm ? 6 : 0; }

}  // namespace

void Mapper::PlaceCells() {
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind != TrainingOpKind::kRecurrentForward) continue;
    const TrainingLayer& l = graph_.layers[op.layer];
    if (l.in % std::max<int64_t>(word_elements_, v_.array.cols) != 0) {
      RefuseInput("{}: layer {}: {} hidden values; accepted on variant {}: a multiple of {}",
                  graph_.file, l.name, l.in, v_.name,
                  std::max<int64_t>(word_elements_, v_.array.cols));
    }
    if (KeptOf(l.cell) == 0) continue;
    const Raster r = RasterFor(static_cast<size_t>(op.Tensor(Role::kY)));
    cells_of_[op.layer] =
        Allocate(graph_.layers[op.layer - 1].name + ".K", TensorRole::kActivation,
                 local_[tensor_of_[op.Tensor(Role::kY)]].format, r.Rows(), KeptOf(l.cell) * l.in);
  }
}

// Samples of a group that go through a step at once.
int64_t Mapper::SamplesInTurn(const Raster& raster) const {
  const int64_t half = raster.samples / 2;
  return half >= v_.array.cols ? half : raster.samples;
}

// Groups that take turns: what two steps of one hold, in the room beside the weights.
int64_t Mapper::GroupsAtOnce(int64_t weights, int64_t of_group, double budget) const {
  const int64_t all = CeilDiv(local_batch_, word_elements_);
  return std::clamp<int64_t>((Scratchpad(budget) - weights) / of_group, 1,
                             std::min<int64_t>(all, 4));
}

void Mapper::AddRecurrentForward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& cell = graph_.layers[op.layer];
  const TrainingLayer& linear = graph_.layers[op.layer - 1];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int w = tensor_of_[op.Tensor(Role::kW)];
  const int u = tensor_of_[op.Tensor(Role::kU)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const bool is_lstm = cell.cell == Cell::kLstm;
  const int64_t hidden = cell.in;
  const int64_t outputs = cell.out;
  const int64_t steps = cell.from.width;
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;
  const Raster raster = raster_.at(y);
  const int64_t samples = SamplesInTurn(raster);
  const int64_t turns = raster.samples / samples;
  const int64_t x_pitch = OperandPitch({x, false}, linear.in);
  const int64_t w_pitch = OperandPitch({w, false}, local_[w].cols);
  const int64_t u_pitch = OperandPitch({u, false}, local_[u].cols);
  const int64_t h_pitch = OutPitch(local_[y], hidden);
  const int64_t sums_pitch = RoundUp(outputs * 4, word_);
  const int64_t state_pitch = RoundUp(hidden * 4, word_);
  const int kept_tensor = is_lstm ? cells_of_.at(op.layer) : -1;
  const int64_t kept_pitch = is_lstm ? OutPitch(local_[kept_tensor], local_[kept_tensor].cols) : 0;
  const int64_t together = GroupsAtOnce(
      outputs * (w_pitch + u_pitch),
      raster.samples * (2 * (x_pitch + sums_pitch + h_pitch + kept_pitch) + state_pitch), budget);
  data_flow_[tag] =
      fmt::format("{} and {} stationary in the scratchpad, {} steps of {} samples, {} in turns",
                  local_[w].name, local_[u].name, steps, samples, together * turns);

  const int w_rows = s_->AddBuffer(static_cast<uint32_t>(outputs * w_pitch), true);
  const int u_rows = s_->AddBuffer(static_cast<uint32_t>(outputs * u_pitch), true);
  int biases = -1;
  std::vector<Load> shared;
  shared.push_back(
      GatherWeights(op.layer - 1, w, 0, outputs, 0, TapWidth(linear), w_pitch, w_rows, tag));
  if (bias >= 0) {
    const int64_t pitch = OutPitch(local_[bias], outputs);
    biases = s_->AddBuffer(static_cast<uint32_t>(pitch), true);
    shared.push_back(GatherPerChannel({bias}, outputs, biases, pitch, tag));
  }
  shared.push_back(GatherWeights(op.layer, u, 0, outputs, 0, TapWidth(cell), u_pitch, u_rows, tag));
  const auto gate_slots = static_cast<int>(hidden / cols * wide);
  const auto kept_slots = static_cast<int>(hidden / cols);
  auto program_of = [&](bool first) {
    return is_lstm ? lanes::LstmForward(gate_slots, kept_slots, first) : lanes::RnnForward();
  };
  const LoadedProgram of_first = LoadLanes(program_of(true), shared, tag);
  LoadedProgram of_rest;
  if (steps > 1) of_rest = LoadLanes(program_of(false), shared, tag);

  // Hidden values at a time, so that lanes begin while the array goes on.
  int64_t slice = hidden;
  while (slice % (2 * cols) == 0 && slice > 32) slice /= 2;

  struct Sequence {
    int state = -1, h = -1, sums = -1;
  };
  for (int64_t first_group = 0; first_group < raster.groups; first_group += together) {
    const int64_t count = std::min(together, raster.groups - first_group) * turns;
    std::vector<Sequence> sequences(static_cast<size_t>(count));
    auto row_of = [&](int64_t i, int64_t t) {
      return raster.Row(first_group + i / turns, 0, t) + i % turns * samples;
    };
    for (Sequence& s : sequences) {
      s.state = s_->AddBuffer(static_cast<uint32_t>(samples * state_pitch), true);
    }
    // W's part of a step.
    auto add_inputs = [&](Task& task, Sequence& s, int64_t i, int64_t t) {
      const int of_step = s_->AddBuffer(static_cast<uint32_t>(samples * x_pitch), false);
      s.sums = s_->AddBuffer(static_cast<uint32_t>(samples * sums_pitch), false);
      task.loads.emplace_back(
          LoadPlain(x, row_of(i, t), samples, 0, linear.in, 0, x_pitch, false, of_step, tag));
      ComputeSpec product;
      product.a = of_step;
      product.b = w_rows;
      product.b_pitch = w_pitch;
      VectorSpec vector;
      vector.out = s.sums;
      vector.aux = biases;
      vector.aux_kind = isa::Aux::kAdd;
      Nest nest;
      nest.rows = {{samples, x_pitch, 0, sums_pitch, 0}};
      nest.depth = {{KWords(linear.in), word_, word_}};
      nest.sets = {{outputs / cols, 0, cols * w_pitch, cols * 4, cols * 4}};
      AddJobs(task.work, product, vector, nest, tag);
    };
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t i = 0; i < count; ++i) {
        Sequence& s = sequences[static_cast<size_t>(i)];
        Task task;
        task.loads = std::exchange(shared, {});
        if (t == 0) add_inputs(task, s, i, 0);
        const int before = s.h;
        const int sums = s.sums;
        s.h = s_->AddBuffer(static_cast<uint32_t>(samples * h_pitch), false);
        const int kept =
            is_lstm ? s_->AddBuffer(static_cast<uint32_t>(samples * kept_pitch), false) : -1;
        for (int64_t at = 0; at < hidden; at += slice) {
          const size_t begin = task.work.size();
          if (t > 0) {
            ComputeSpec product;
            product.a = before;
            product.b = u_rows;
            product.b_pitch = u_pitch;
            product.b_offset = at * u_pitch;
            VectorSpec vector;
            vector.out = vector.aux = sums;
            vector.aux_kind = isa::Aux::kAdd;
            vector.out_offset = vector.aux_offset = at * 4;
            Nest nest;
            nest.rows = {{samples, h_pitch, 0, sums_pitch, sums_pitch}};
            nest.depth = {{KWords(hidden), word_, word_}};
            nest.sets = {{slice / cols, 0, cols * u_pitch, cols * 4, cols * 4},
                         {outputs / hidden, 0, hidden * u_pitch, hidden * 4, hidden * 4}};
            AddJobs(task.work, product, vector, nest, tag);
          }
          lanes::Job job;
          job.bounds = {slice / cols, 1, 1};
          job.level = 1;
          job.streams[0].base = static_cast<uint32_t>(at * 4);
          job.streams[0].strides = {sums_pitch / slot, wide, 0, 0};
          job.streams[1].base = static_cast<uint32_t>(at * 4);
          job.streams[1].strides = {state_pitch / slot, wide, 0, 0};
          job.streams[2].base = static_cast<uint32_t>(at * operand_);
          job.streams[2].strides = {h_pitch / slot, 1, 0, 0};
          job.streams[3].base = static_cast<uint32_t>(at * operand_);
          job.streams[3].strides = {kept_pitch / slot, 1, 0, 0};
          AddSampleJobs(task, t == 0 ? of_first : of_rest, job, samples,
                        {sums, is_lstm ? s.state : -1, s.h, kept},
                        {sums_pitch, state_pitch, h_pitch, kept_pitch}, 0b1110, tag);
          // The lanes have one slice while the array has the next.
          for (size_t n = begin; n < task.work.size(); ++n) {
            for (BufferUse& use : task.work[n].buffers) {
              const bool sliced = use.buffer == sums || use.buffer == s.state ||
                                  use.buffer == s.h || use.buffer == kept;
              if (sliced) use.part = static_cast<int>(at / slice);
            }
          }
        }
        if (t + 1 < steps) add_inputs(task, s, i, t + 1);
        task.stores.push_back(StorePlain(y, row_of(i, t), samples, 0, hidden, h_pitch, s.h, tag));
        if (is_lstm) {
          task.stores.push_back(StorePlain(kept_tensor, row_of(i, t), samples, 0,
                                           local_[kept_tensor].cols, kept_pitch, kept, tag));
        }
        AddTask(std::move(task));
      }
    }
  }
}

void Mapper::AddRecurrentBackward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& cell = graph_.layers[op.layer];
  const int dy = tensor_of_[op.Tensor(Role::kDz)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int u = tensor_of_[op.Tensor(Role::kU)];
  const int dsums = tensor_of_[op.Tensor(Role::kDx)];
  const bool is_lstm = cell.cell == Cell::kLstm;
  const int64_t hidden = cell.in;
  const int64_t outputs = cell.out;
  const int64_t steps = cell.from.width;
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;
  const Raster raster = raster_.at(y);
  const int64_t samples = SamplesInTurn(raster);
  const int64_t turns = raster.samples / samples;
  const int kept_tensor = is_lstm ? cells_of_.at(op.layer) : y;
  const int64_t kept_cols = local_[kept_tensor].cols;
  const int64_t kept_pitch = OutPitch(local_[kept_tensor], kept_cols);
  const int64_t dy_pitch = OutPitch(local_[dy], hidden);
  const int64_t ds_pitch = OutPitch(local_[dsums], outputs);
  // The state and, behind it, what comes back through U.
  const int64_t state_pitch = RoundUp((is_lstm ? 2 : 1) * hidden * 4, word_);
  const int64_t rest_offset = is_lstm ? hidden * 4 : 0;
  const int64_t u_pitch = KWords(outputs) * word_;
  const int64_t together =
      GroupsAtOnce(hidden * u_pitch,
                   raster.samples * (2 * (kept_pitch + dy_pitch + ds_pitch) + state_pitch), budget);
  data_flow_[tag] =
      fmt::format("{} transposed stationary in the scratchpad, {} steps of {} samples, {} in turns",
                  local_[u].name, steps, samples, together * turns);

  std::vector<Load> shared;
  int u_rows = -1;
  if (steps > 1) {
    u_rows = s_->AddBuffer(static_cast<uint32_t>(hidden * u_pitch), true);
    shared.push_back(GatherTransposed(op.layer, u, 0, hidden, 0, 1, u_pitch, u_rows, tag));
  }
  const auto kept_slots = static_cast<int>(hidden / cols);
  const auto rest_slots = static_cast<int>(hidden / cols * wide);
  auto program_of = [&](bool first) {
    return is_lstm ? lanes::LstmBackward(kept_slots, rest_slots, kept_slots, first)
                   : lanes::RnnBackward(first);
  };
  const LoadedProgram of_first = LoadLanes(program_of(true), shared, tag);
  LoadedProgram of_rest;
  if (steps > 1) of_rest = LoadLanes(program_of(false), shared, tag);

  struct Sequence {
    int state = -1, ds = -1;
  };
  for (int64_t first_group = 0; first_group < raster.groups; first_group += together) {
    const int64_t count = std::min(together, raster.groups - first_group) * turns;
    std::vector<Sequence> sequences(static_cast<size_t>(count));
    auto row_of = [&](int64_t i, int64_t t) {
      return raster.Row(first_group + i / turns, 0, t) + i % turns * samples;
    };
    for (Sequence& s : sequences) {
      s.state = s_->AddBuffer(static_cast<uint32_t>(samples * state_pitch), true);
    }
    for (int64_t t = steps - 1; t >= 0; --t) {
      for (int64_t i = 0; i < count; ++i) {
        Sequence& s = sequences[static_cast<size_t>(i)];
        const bool first = t == steps - 1;
        Task task;
        task.loads = std::exchange(shared, {});
        const int kept = s_->AddBuffer(static_cast<uint32_t>(samples * kept_pitch), false);
        const int of_step = s_->AddBuffer(static_cast<uint32_t>(samples * dy_pitch), false);
        task.loads.emplace_back(LoadPlain(kept_tensor, row_of(i, t), samples, 0, kept_cols, 0,
                                          kept_pitch, false, kept, tag));
        task.loads.emplace_back(
            LoadPlain(dy, row_of(i, t), samples, 0, hidden, 0, dy_pitch, false, of_step, tag));
        if (!first) {
          ComputeSpec product;
          product.a = s.ds;
          product.b = u_rows;
          product.b_pitch = u_pitch;
          VectorSpec vector;
          vector.out = s.state;
          vector.out_offset = rest_offset;
          Nest nest;
          nest.rows = {{samples, ds_pitch, 0, state_pitch}};
          nest.depth = {{KWords(outputs), word_, word_}};
          nest.sets = {{hidden / cols, 0, cols * u_pitch, cols * 4}};
          AddJobs(task.work, product, vector, nest, tag);
        }
        s.ds = s_->AddBuffer(static_cast<uint32_t>(samples * ds_pitch), false);
        lanes::Job job;
        job.bounds = {hidden / cols, 1, 1};
        job.level = 1;
        job.streams[0].strides = {kept_pitch / slot, 1, 0, 0};
        job.streams[1].strides = {state_pitch / slot, wide, 0, 0};
        job.streams[2].strides = {dy_pitch / slot, 1, 0, 0};
        job.streams[3].strides = {ds_pitch / slot, 1, 0, 0};
        AddSampleJobs(task, first ? of_first : of_rest, job, samples,
                      {kept, s.state, of_step, s.ds}, {kept_pitch, state_pitch, dy_pitch, ds_pitch},
                      0b1010, tag);
        task.stores.push_back(
            StorePlain(dsums, row_of(i, t), samples, 0, outputs, ds_pitch, s.ds, tag));
        AddTask(std::move(task));
      }
    }
  }
}

}  // namespace vaultrain
