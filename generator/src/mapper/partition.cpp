// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Operations on all nodes of a mesh.
//
// A node has its samples (its part of the batch) and, of a split layer, its rows of the weights
// (its part of the outputs):
//
//   FF  Y[samples][outputs]   = X W^T     blocks of W gathered over the batch axis, Y over outputs
//   BP  dX[samples][all]      = dZ W      W^T gathered; of a split layer the partial sums are
//                                         summed over outputs, each part at its own node
//   UP  W[outputs][all]      += dZ^T X    summed over the batch axis, tile by tile, at the owner,
//                                         whose own values hold W as it was
//
// Tokens. A gather has one owner or each node of the axis as one, and a node begins the next gather
// over an axis only after the last has arrived. With that, one semaphore per axis and purpose is
// enough: a token can only belong to the gather under way. An owner sends once every other node
// has said that its buffer is free. A reduction needs no such token: it cannot go on without the
// owner's own values, which the owner sends when its buffer is free.

#include <fmt/format.h>

#include <cmath>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Group;
using isa::Opcode;
using isa::SendKind;

namespace {

// Mesh semaphores.
enum Purpose { kFree = 0, kArrived = 1, kSummed = 2, kPurposes = 3 };
int SemaphoreOf(Axis axis, Purpose purpose) {
  return static_cast<int>(axis) * kPurposes + static_cast<int>(purpose);
}

// Rows that nodes gather take kFree and kArrived of an axis, sums kSummed.
int ExchangeOf(Axis axis, bool sums) { return 2 * static_cast<int>(axis) + (sums ? 1 : 0); }

// Outputs of a part of a split layer are whole multiples of this.
constexpr int64_t kSliceStep = 32;

bool Splits(int64_t out, int parts) { return parts > 1 && out % (parts * kSliceStep) == 0; }

constexpr Partition kPartitions[] = {Partition::kBatch, Partition::kOutputs, Partition::kHybrid};

}  // namespace

// ---- who does what

std::string_view PartitionName(Partition partition) {
  constexpr std::string_view kNames[] = {"batch", "outputs", "hybrid"};
  return kNames[static_cast<int>(partition)];
}

Grid MakeGrid(Partition partition, int columns, int rows) {
  Grid grid;
  const int nodes = columns * rows;
  if (partition == Partition::kBatch) grid.batch.parts = nodes;
  if (partition == Partition::kOutputs) grid.outputs.parts = nodes;
  if (partition == Partition::kHybrid) {
    grid.batch = {rows, Group::kColumn};
    grid.outputs = {columns, Group::kRow};
  }
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      Place place{x, y, 0, 0};
      if (partition == Partition::kBatch) place.batch_part = y * columns + x;
      if (partition == Partition::kOutputs) place.output_part = y * columns + x;
      if (partition == Partition::kHybrid) {
        place.batch_part = y;
        place.output_part = x;
      }
      grid.places.push_back(place);
    }
  }
  return grid;
}

const Place& Grid::At(Axis axis, int part, const Place& from) const {
  for (const Place& place : places) {
    const Axis other = axis == Axis::kBatch ? Axis::kOutputs : Axis::kBatch;
    if (PartOf(place, axis) == part && PartOf(place, other) == PartOf(from, other)) return place;
  }
  throw Error(ExitStatus::kInternal, "no node has this part");
}

bool Suits(const Variant& variant, const TrainingGraph& graph, Partition partition) {
  const Grid grid = MakeGrid(partition, variant.mesh.x, variant.mesh.y);
  return graph.batch % grid.batch.parts == 0;
}

Partition CheckedPartition(const Variant& variant, const TrainingGraph& graph,
                           Partition partition) {
  if (!Suits(variant, graph, partition)) {
    RefuseInput("{}: partition {} of batch {} on a mesh of {} x {}; accepted: a multiple of {}",
                graph.file, PartitionName(partition), graph.batch, variant.mesh.x, variant.mesh.y,
                MakeGrid(partition, variant.mesh.x, variant.mesh.y).batch.parts);
  }
  return partition;
}

namespace {

// Cycles of a step, layer by layer and phase by phase the slowest of array, pins and links of a
// node. A link takes a payload a cycle; pins give kPinShare of their beats.
PartitionChoice Weigh(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                      Partition partition) {
  const double link = variant.mesh.link_bits / 8.0;
  const double pins = kPinShare * dram.geometry.data_bits / 8.0;
  const double operand = variant.OperandBits() / 8.0;
  // Products with gradients in halves, whose fp32 is loaded for each.
  const double halves = variant.HasWideGradients() ? 2 : 1;
  const double gradient = variant.HasWideGradients() ? halves * 4 : operand;
  const Grid grid = MakeGrid(partition, variant.mesh.x, variant.mesh.y);
  const double batch_parts = grid.batch.parts;
  const double output_parts = grid.outputs.parts;
  const double samples = static_cast<double>(graph.batch) / batch_parts;
  PartitionChoice choice;
  choice.partition = partition;
  bool split = true;
  for (size_t l = 0; l < graph.layers.size(); ++l) {
    const TrainingLayer& layer = graph.layers[l];
    split = split && l + 1 < graph.layers.size() && Splits(layer.out, grid.outputs.parts);
    const double in = static_cast<double>(layer.in);
    const double out = static_cast<double>(layer.out) / (split ? output_parts : 1);
    const double array = samples * in * out / variant.MacsPerCycle();
    const double weights = in * out;  // of a node's outputs
    const double others = (batch_parts - 1) / batch_parts;
    const double rows_come = split ? (output_parts - 1) / output_parts : 0;
    auto add = [&](Phase phase, double pin_bytes, double link_bytes) {
      const double products = phase == Phase::kFeedForward ? array : halves * array;
      choice.phases.push_back(
          {layer.name, phase, {products, pin_bytes / pins, link_bytes / link, 0}});
      choice.cycles += choice.phases.back().cycles.Slowest();
    };
    add(Phase::kFeedForward,
        weights * 4 / batch_parts + samples * (in + out * output_parts) * operand,
        weights * operand * others +
            samples * static_cast<double>(layer.out) * operand * rows_come);
    if (l > 0) {
      add(Phase::kBackPropagation, weights * 4 / batch_parts,
          weights * operand * others + samples * in * 4 * rows_come);
    }
    add(Phase::kWeightUpdate, weights * 8 / batch_parts + samples * (in * operand + out * gradient),
        batch_parts > 1 ? weights * 4 : 0);
  }
  return choice;
}

}  // namespace

Partition ChoosePartition(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                          Explanation* explanation) {
  auto decide = [explanation](Partition partition, const char* reason) {
    if (explanation != nullptr) explanation->partition_reason = reason;
    return partition;
  };
  if (variant.vaults == 1) return decide(Partition::kBatch, "one node does all");
  // Layers of images and sequences are not split, so that in another partition nodes would do the
  // same work.
  const bool images = std::any_of(graph.layers.begin(), graph.layers.end(),
                                  [](const TrainingLayer& layer) { return !layer.IsFlat(); });
  if (images && Suits(variant, graph, Partition::kBatch)) {
    return decide(
        Partition::kBatch,
        "layers of images and sequences are not split: in every other partition nodes do the "
        "same work");
  }
  Partition best = Partition::kOutputs;
  double fewest = std::numeric_limits<double>::infinity();
  for (Partition partition : kPartitions) {
    if (!Suits(variant, graph, partition)) continue;
    PartitionChoice choice = Weigh(variant, dram, graph, partition);
    if (choice.cycles < fewest) {
      fewest = choice.cycles;
      best = partition;
    }
    if (explanation != nullptr) explanation->partitions.push_back(std::move(choice));
  }
  return decide(best, "the fewest cycles of those that the batch suits");
}

std::string Mapper::PartitionText() const {
  if (grid_.places.size() == 1) return "one node";
  std::string text = fmt::format("{}: {} samples in each of {} parts", PartitionName(partition_),
                                 local_batch_, grid_.batch.parts);
  if (grid_.outputs.parts > 1) text += fmt::format(", outputs in {} parts", grid_.outputs.parts);
  return text;
}

void Mapper::PlanLayers() {
  plan_.clear();
  // Values of other layers lie with all their channels in one place.
  const bool may_split =
      std::all_of(graph_.layers.begin(), graph_.layers.end(), [](const TrainingLayer& l) {
        return l.kind == LayerKind::kLinear || l.kind == LayerKind::kMaxPool ||
               l.kind == LayerKind::kAveragePool;
      });
  for (const TrainingLayer& layer : graph_.layers) {
    LayerPlan plan;
    // The loss of a sample takes all outputs of the last one.
    const bool last = plan_.size() + 1 == graph_.layers.size();
    plan.split = may_split && !last && (plan_.empty() || plan_.back().split) && layer.IsFlat() &&
                 !HasOptimiserStep() && Splits(layer.out, grid_.outputs.parts);
    plan.slice = layer.kind == LayerKind::kLinear ? layer.out : layer.to.channels;
    if (plan.split) plan.slice /= grid_.outputs.parts;
    plan.tile = plan.slice;
    plan.block = plan.slice;
    if (grid_.places.size() > 1) {
      // As many rows as leave room for several tiles beside activations; a block for each node, or
      // for as many as there are blocks of a flit: with blocks of 8 rows `convnet` takes 1,072
      // thousand cycles on 4 x 4 nodes, with blocks of 32, so of two owners a layer, 1,111.
      const int64_t least = std::max<int64_t>(v_.array.cols, v_.mesh.link_bits / 8 / operand_);
      const int64_t row_bytes = RoundUp(layer.in * operand_, kAccess);
      int64_t rows = std::max(kSliceStep, least);
      while (rows / 2 >= least && rows * row_bytes > Scratchpad(1.0) / 10) rows /= 2;
      plan.tile = std::min(plan.slice, rows);
      plan.block = plan.tile;
      const int64_t parts = grid_.batch.parts;
      if (plan.tile % (parts * least) == 0 && plan.slice % plan.tile == 0) {
        plan.block = plan.tile / parts;
      }
      while (plan.block % (2 * least) == 0 && plan.Blocks() < parts) plan.block /= 2;
      // Those of bundles are made at one place.
      if (layer.kind == LayerKind::kLinear && BundlesOf(layer).groups > 1) {
        plan.block = plan.tile = plan.slice;
      }
    }
    plan_.push_back(plan);
  }
}

// ---- steps on the mesh

Step Mapper::Only(Axis axis, int part, Step step) {
  step.only = [axis, part](const Place& place) { return Grid::PartOf(place, axis) == part; };
  if (axis == Axis::kBatch) {
    for (DramUse& use : step.dram) use.rect.batch_part = part;
  }
  return step;
}

Step Mapper::Send(const SendSpec& spec, int tag) const {
  Step step;
  step.engine = Engine::kSend;
  step.exchange =
      ExchangeOf(spec.axis, spec.post == SemaphoreOf(spec.axis, kSummed) ||
                                spec.take[0].semaphore == SemaphoreOf(spec.axis, kSummed));
  const int64_t link = v_.mesh.link_bits / 8;
  step.cycles = spec.rows * CeilDiv(spec.row_bytes, link);
  step.make = [=, this](const Place& place) {
    Descriptor d(Opcode::kSend);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kSendKind, static_cast<int64_t>(spec.kind));
    const bool to_one = spec.kind == SendKind::kPut && spec.owner >= 0;
    if (spec.kind != SendKind::kTokens) {
      const Group group = to_one ? Group::kOwner : grid_.Of(spec.axis).group;
      d.Set(FieldId::kGroup, static_cast<int64_t>(group));
    }
    if (spec.owner >= 0) {
      const Place& owner = grid_.At(spec.axis, spec.owner, place);
      d.Set(FieldId::kOwnerX, owner.x);
      d.Set(FieldId::kOwnerY, owner.y);
    }
    if (spec.post >= 0) {
      d.Set(FieldId::kPost, 1);
      d.Set(FieldId::kPostSem, spec.post);
    }
    for (int i = 0; i < 2; ++i) {
      d.Set(FieldId::kTake, spec.take[i].count, i);
      d.Set(FieldId::kTakeSem, spec.take[i].count > 0 ? spec.take[i].semaphore : 0, i);
    }
    if (spec.rows > 0) {
      const int64_t from = s_->AddressOf(spec.buffer) + spec.offset.At(place);
      const bool put = spec.to_buffer < 0;
      d.Set(FieldId::kSendRows, spec.rows);
      d.Set(FieldId::kRowFlits, CeilDiv(spec.row_bytes, link));
      d.Set(FieldId::kSendAddr, from);
      d.Set(FieldId::kSendPitch, spec.pitch);
      d.Set(FieldId::kDstAddr, put ? from : s_->AddressOf(spec.to_buffer));
      d.Set(FieldId::kDstPitch, put ? spec.pitch : spec.to_pitch);
    }
    return d;
  };
  return step;
}

Load Mapper::Gather(Axis axis, int buffer, int64_t pitch, std::vector<Piece> pieces,
                    int tag) const {
  Load result;
  std::vector<Step>& steps = result.gather;
  const int parts = grid_.Of(axis).parts;
  for (Piece& piece : pieces) {
    for (Step& load : piece.loads) {
      result.steps.push_back(parts > 1 ? Only(axis, piece.owner, std::move(load))
                                       : std::move(load));
    }
  }
  if (parts == 1) return result;
  auto send = [&](const SendSpec& spec, bool write) {
    Step step = Send(spec, tag);
    step.buffers = {{buffer, write}};
    return step;
  };
  const bool one_owner = std::all_of(pieces.begin(), pieces.end(), [&](const Piece& piece) {
    return piece.owner == pieces.front().owner;
  });
  const int owner = pieces.front().owner;
  auto not_owner = [axis, owner](const Place& place) { return Grid::PartOf(place, axis) != owner; };
  // "My buffer is free", to the owner or to all.
  SendSpec free;
  free.kind = SendKind::kPut;
  free.axis = axis;
  free.owner = one_owner ? owner : -1;
  free.post = SemaphoreOf(axis, kFree);
  steps.push_back(send(free, true));
  if (one_owner) steps.back().only = not_owner;

  for (int part = 0; part < parts; ++part) {
    if (one_owner && part != owner) continue;
    SendSpec put;
    put.kind = SendKind::kPut;
    put.axis = axis;
    put.take[0] = {SemaphoreOf(axis, kFree), parts - 1};
    std::vector<SendSpec> puts;
    for (const Piece& piece : pieces) {
      if (piece.owner != part) continue;
      put.buffer = buffer;
      put.offset = piece.offset;
      put.rows = piece.rows;
      put.row_bytes = piece.row_bytes;
      put.pitch = pitch;
      puts.push_back(put);
      put.take[0] = {};
    }
    if (puts.empty()) puts.push_back(put);  // a token alone
    puts.back().post = SemaphoreOf(axis, kArrived);
    for (const SendSpec& spec : puts) steps.push_back(Only(axis, part, send(spec, false)));
  }

  SendSpec arrived;
  arrived.axis = axis;
  arrived.take[0] = {SemaphoreOf(axis, kArrived), one_owner ? 1 : parts - 1};
  steps.push_back(send(arrived, true));
  if (one_owner) steps.back().only = not_owner;
  return result;
}

// Rows of a tensor that all nodes of the outputs axis hold: each loads its share of them.
Load Mapper::GatherRows(int tensor, int64_t row, int64_t rows, int64_t pitch, int buffer,
                        int tag) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t share = CeilDiv(rows, grid_.outputs.parts);
  std::vector<Piece> pieces;
  for (int64_t at = 0; at < rows; at += share) {
    const int64_t count = std::min(share, rows - at);
    Piece piece{static_cast<int>(at / share), at * pitch, count, pitch, {}};
    piece.loads.push_back(LoadPlain(tensor, row + at, count, 0, t.cols, 0, pitch, Converts(t),
                                    buffer, tag, piece.offset));
    pieces.push_back(std::move(piece));
  }
  return Gather(Axis::kOutputs, buffer, pitch, std::move(pieces), tag);
}

Step Mapper::Reduce(Axis axis, int owner, int buffer, int64_t offset, int64_t pitch, int64_t rows,
                    int64_t row_bytes, int sum, int tag) const {
  SendSpec spec;
  spec.kind = SendKind::kReduce;
  spec.axis = axis;
  spec.owner = owner;
  spec.buffer = buffer;
  spec.offset = offset;
  spec.rows = rows;
  spec.row_bytes = row_bytes;
  spec.pitch = pitch;
  spec.to_buffer = sum;
  spec.to_pitch = pitch;
  spec.post = SemaphoreOf(axis, kSummed);
  Step step = Send(spec, tag);
  step.buffers = {{buffer, false}, {sum, true}};
  return step;
}

Step Mapper::Summed(Axis axis, int owner, int sum, int tag) const {
  SendSpec spec;
  spec.axis = axis;
  spec.take[0] = {SemaphoreOf(axis, kSummed), 1};
  Step step = Send(spec, tag);
  step.buffers = {{sum, true}};
  return Only(axis, owner, std::move(step));
}

// ---- tiles

// The waits stand before the sends of this tile, so that the vector unit, which takes the sums of
// the tile before in its turn, never waits behind sums that begin only now.
void Mapper::AddTile(std::vector<Load> loads, std::vector<Step> before, Step compute, Step vector,
                     std::vector<Step> sends, std::vector<Step> stores) {
  Task task;
  auto append = [](auto& to, auto& from) {
    for (auto& one : from) to.push_back(std::move(one));
    from.clear();
  };
  append(task.loads, loads);
  append(task.loads, late_.loads);
  append(task.work, before);
  task.work.push_back(std::move(compute));
  append(task.work, late_.waits);
  task.work.push_back(std::move(vector));
  append(task.work, late_.work);
  append(task.work, sends);
  append(task.stores, late_.stores);
  append(task.stores, stores);
  AddTask(std::move(task));
}

void Mapper::AddTask(Task task) {
  task.update = updates_;
  task.op = op_;
  task.sum = std::exchange(sum_, 0);
  s_->AddTask(std::move(task));
  FlushAfterNext();
}

void Mapper::FlushAfterNext() {
  if (const auto add = std::exchange(after_next_, nullptr)) add();
}

void Mapper::FlushLate() {
  Task task;
  task.loads = std::move(late_.loads);
  task.work = std::move(late_.waits);
  for (Step& step : late_.work) task.work.push_back(std::move(step));
  task.stores = std::move(late_.stores);
  task.update = late_.update;
  late_ = {};
  if (!task.work.empty() || !task.stores.empty()) s_->AddTask(std::move(task));
}

// ---- feed-forward

void Mapper::AddForward(const TrainingOp& op, int tag, double budget) {
  const LayerPlan& plan = plan_[op.layer];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int w = tensor_of_[op.Tensor(Role::kW)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const ProgramTensor& out = local_[y];
  const int64_t cols = v_.array.cols;
  const int64_t k = graph_.layers[op.layer].in;
  const int64_t a_pitch = OperandPitch({x, false}, k);
  const int64_t b_pitch = OperandPitch({w, false}, k);
  const int64_t out_pitch = OutPitch(out, out.cols);
  const int64_t tile_bytes = RoundUp(plan.tile, cols) * b_pitch;
  const int outputs = plan.split ? grid_.outputs.parts : 1;

  int64_t most = SamplesOfFlatTurn();
  while (most > 1 && (most > v_.AccHalfDepth() ||
                      most * (a_pitch + out_pitch) + 3 * tile_bytes > Scratchpad(budget))) {
    most = CeilDiv(most, 2);
  }
  const int kept_x = Kept(x);
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} stationary in the array, tiles of {} rows {}, {} samples stay in the scratchpad{}",
        local_[w].name, plan.tile,
        grid_.batch.parts > 1 ? fmt::format("sent to {} nodes", grid_.batch.parts) : "loaded", most,
        outputs > 1 ? fmt::format(", results sent to {} nodes", outputs) : "");
  }
  // They stay for all samples, and so do weights of one tile.
  const int64_t bias_bytes = RoundUp(plan.slice * 4, std::max(kAccess, word_));
  const int bias_buffer = bias < 0 ? -1 : s_->AddBuffer(static_cast<uint32_t>(bias_bytes), true);
  int only_tile = -1;
  for (int64_t row = 0; row < local_batch_; row += most) {
    const int64_t rows = std::min(most, local_batch_ - row);
    const int a = kept_x >= 0 ? kept_x : s_->AddBuffer(static_cast<uint32_t>(rows * a_pitch), true);
    const int results = s_->AddBuffer(static_cast<uint32_t>(rows * out_pitch), true);
    for (int64_t n = 0; n < plan.slice; n += plan.tile) {
      const int64_t count = std::min(plan.tile, plan.slice - n);
      const int64_t padded = RoundUp(count, cols);
      const bool first = n == 0;
      const bool last = n + count == plan.slice;
      std::vector<Load> loads;
      if (first && kept_x < 0) loads.push_back(GatherRows(x, row, rows, a_pitch, a, tag));
      if (first && row == 0 && bias >= 0) {
        Piece piece{0, 0, 1, bias_bytes, {}};
        piece.loads.push_back(
            LoadPlain(bias, 0, 1, 0, plan.slice, 0, bias_bytes, false, bias_buffer, tag));
        loads.push_back(Gather(Axis::kBatch, bias_buffer, bias_bytes, {piece}, tag));
      }
      const bool comes = only_tile < 0;
      const int tile =
          comes ? s_->AddBuffer(static_cast<uint32_t>(padded * b_pitch), plan.tile >= plan.slice)
                : only_tile;
      if (plan.tile >= plan.slice) only_tile = tile;
      std::vector<Piece> pieces;
      for (int64_t at = 0; comes && at < count; at += plan.block) {
        const int64_t b = (n + at) / plan.block;
        const int64_t of_block = std::min(plan.block, count - at);
        const int64_t pad = at + of_block == count ? padded - count : 0;
        Piece piece{
            static_cast<int>(b % grid_.batch.parts), at * b_pitch, of_block + pad, b_pitch, {}};
        piece.loads.push_back(LoadPlain(w, b / grid_.batch.parts * plan.block, of_block, 0, k, pad,
                                        b_pitch, Converts(local_[w]), tile, tag, piece.offset));
        pieces.push_back(std::move(piece));
      }
      if (comes) loads.push_back(Gather(Axis::kBatch, tile, b_pitch, std::move(pieces), tag));

      const ComputeSpec product{
          a,        tile, kept_x >= 0 ? row * a_pitch : 0, a_pitch, 0, b_pitch, rows, padded / cols,
          KWords(k)};
      VectorSpec vector;
      vector.out = results;
      vector.out_bytes = BytesOf(out);
      vector.out_offset = {n * BytesOf(out), plan.split ? plan.slice * BytesOf(out) : 0};
      vector.out_pitch = out_pitch;
      vector.relu = op.relu;
      vector.tail = last && !plan.split;
      if (bias >= 0) {
        vector.aux = bias_buffer;
        vector.aux_kind = Aux::kAdd;
        vector.aux_offset = n * 4;
      }
      auto send = [&](const SendSpec& spec, bool write) {
        Step step = Send(spec, tag);
        step.buffers = {{results, write}};
        return step;
      };
      const int part = static_cast<int>(n / plan.tile);
      std::vector<Step> before;
      std::vector<Step> sends;
      if (outputs > 1 && first) {
        SendSpec free;
        free.kind = SendKind::kPut;
        free.axis = Axis::kOutputs;
        free.post = SemaphoreOf(Axis::kOutputs, kFree);
        before.push_back(send(free, true));
      }
      if (outputs > 1) {
        SendSpec put;
        put.kind = SendKind::kPut;
        put.axis = Axis::kOutputs;
        put.buffer = results;
        put.offset = vector.out_offset;
        put.rows = rows;
        put.row_bytes = count * BytesOf(out);
        put.pitch = out_pitch;
        if (first) put.take[0] = {SemaphoreOf(Axis::kOutputs, kFree), outputs - 1};
        if (last) put.post = SemaphoreOf(Axis::kOutputs, kArrived);
        sends.push_back(send(put, false));
        sends.back().buffers[0].part = part;
      }
      if (outputs > 1 && last) {
        SendSpec arrived;
        arrived.axis = Axis::kOutputs;
        arrived.take[0] = {SemaphoreOf(Axis::kOutputs, kArrived), outputs - 1};
        sends.push_back(send(arrived, true));
      }
      std::vector<Step> stores;
      if (last) stores.push_back(StorePlain(y, row, rows, 0, out.cols, out_pitch, results, tag));
      Step drain = Vector(product, vector, tag);
      drain.buffers[0].part = part;
      AddTile(std::move(loads), std::move(before), Compute(product, tag), std::move(drain),
              std::move(sends), std::move(stores));
    }
    if (most == local_batch_) resident_[y] = results;
  }
}

// ---- back-propagation

void Mapper::AddBackward(const TrainingOp& op, int tag, double budget) {
  const LayerPlan& plan = plan_[op.layer];
  const LayerPlan& before = plan_[op.layer - 1];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int w = tensor_of_[op.Tensor(Role::kW)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const ProgramTensor& out = local_[dx];
  const int64_t cols = v_.array.cols;
  const int64_t k = plan.slice;
  const int64_t a_pitch = OperandPitch({dz, false}, k);
  const int64_t halves = HalvesOf(dz);
  const int64_t b_pitch = KWords(k) * word_;
  const int64_t out_pitch = OutPitch(out, out.cols);
  // Every node of the outputs axis has a partial sum for all inputs; each part goes to its node.
  const int sums = plan.split ? grid_.outputs.parts : 1;
  // The layer before it is the one that made X only where outputs are split.
  const int64_t n = before.split ? before.slice : graph_.layers[op.layer].in;

  auto tile_bytes = [&](int64_t rows, int64_t columns) {
    const int64_t wide = RoundUp(columns, cols);
    const int64_t partial = sums > 1 ? 4 * rows * wide * 4 : 0;
    const int64_t mask =
        op.mask ? 3 * rows * RoundUp(wide * operand_, std::max(kAccess, word_)) : 0;
    return 3 * wide * b_pitch + partial + mask;
  };
  int64_t most = std::min<int64_t>(SamplesOfFlatTurn(), v_.AccHalfDepth());
  int64_t wide = RoundUp(n, std::max<int64_t>(cols, kSliceStep));
  while (most * (halves * a_pitch + out_pitch) + tile_bytes(most, wide) > Scratchpad(budget) / 2) {
    if (wide > 64) {
      wide = RoundUp(wide / 2, std::max<int64_t>(cols, kSliceStep));
    } else if (most > 16) {
      most = CeilDiv(most, 2);
    } else if (wide > kSliceStep) {
      wide = kSliceStep;
    } else {
      break;
    }
  }
  const int kept_dz = Kept(dz);
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} transposed stationary in the array, tiles of {} columns{}, {} samples stay in the "
        "scratchpad{}",
        local_[w].name, wide,
        grid_.batch.parts > 1 ? fmt::format(" gathered from {} nodes", grid_.batch.parts) : "",
        most, sums > 1 ? fmt::format(", partial sums summed over {} nodes", sums) : "");
  }
  int only_tile = -1;  // stays for all samples
  for (int64_t row = 0; row < local_batch_; row += most) {
    const int64_t rows = std::min(most, local_batch_ - row);
    const int a = kept_dz >= 0
                      ? kept_dz
                      : s_->AddBuffer(static_cast<uint32_t>(rows * a_pitch * halves), true);
    const int results = s_->AddBuffer(static_cast<uint32_t>(rows * out_pitch), true);
    bool loaded = kept_dz >= 0;
    auto store = [&] { return StorePlain(dx, row, rows, 0, out.cols, out_pitch, results, tag); };
    for (int64_t col = 0; col < n; col += wide) {
      const int64_t count = std::min(wide, n - col);
      const int64_t padded = RoundUp(count, cols);
      for (int owner = 0; owner < sums; ++owner) {
        std::vector<Load> loads;
        if (!loaded) {
          for (Step& step : LoadOperand({dz, false}, row, rows, rows, k, a, tag)) {
            loads.emplace_back(std::move(step));
          }
          loaded = true;
        }
        // Columns of W: of the part that the sum is for, or of the node's own.
        const Offset from =
            sums > 1 ? Offset(owner * n + col) : Offset(col, before.split ? before.slice : 0);
        const bool comes = only_tile < 0;
        const int tile =
            comes ? s_->AddBuffer(static_cast<uint32_t>(padded * b_pitch), wide >= n) : only_tile;
        if (sums == 1 && wide >= n) only_tile = tile;
        std::vector<Piece> pieces;
        for (int64_t b = 0; comes && b < plan.Blocks(); ++b) {
          const bool end = b + 1 == plan.Blocks();
          const int64_t pad = end ? KWords(k) * word_elements_ - k : 0;
          Piece piece{static_cast<int>(b % grid_.batch.parts),
                      b * plan.block * operand_,
                      padded,
                      (plan.RowsOf(b) + pad) * operand_,
                      {}};
          piece.loads = LoadTransposed(w, b / grid_.batch.parts * plan.block, plan.RowsOf(b), from,
                                       padded, pad, b_pitch, tile, piece.offset, tag);
          pieces.push_back(std::move(piece));
        }
        if (comes) loads.push_back(Gather(Axis::kBatch, tile, b_pitch, std::move(pieces), tag));
        ComputeSpec product{a,
                            tile,
                            kept_dz >= 0 ? row * a_pitch : 0,
                            a_pitch,
                            0,
                            b_pitch,
                            rows,
                            padded / cols,
                            KWords(k)};
        if (halves > 1) product.a_low = rows * a_pitch;
        const int64_t mask_pitch = OutPitch(local_[x], count);
        const int mask =
            op.mask ? s_->AddBuffer(static_cast<uint32_t>(rows * mask_pitch), false) : -1;
        auto load_mask = [&] {
          return LoadPlain(x, row, rows, from, count, 0, mask_pitch, false, mask, tag);
        };
        VectorSpec finish;  // what makes dX of the sums
        finish.out = results;
        finish.out_bytes = BytesOf(out);
        finish.out_offset = col * BytesOf(out);
        finish.out_pitch = out_pitch;
        if (op.mask) {
          finish.aux = mask;
          finish.aux_kind = Aux::kMask;
          finish.aux_pitch = mask_pitch;
          finish.aux_bytes = operand_;
        }
        if (sums == 1) {
          if (op.mask) loads.push_back(load_mask());
          finish.tail = col + count == n;
          std::vector<Step> stores;
          if (finish.tail) stores.push_back(store());
          AddTile(std::move(loads), {}, Compute(product, tag), Vector(product, finish, tag), {},
                  std::move(stores));
        } else {
          const int64_t pitch = RoundUp(padded * 4, std::max(kAccess, word_));
          const int partial = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
          const int sum = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
          VectorSpec plain;
          plain.out = partial;
          plain.out_pitch = pitch;
          AddTile(std::move(loads), {}, Compute(product, tag), Vector(product, plain, tag),
                  {Reduce(Axis::kOutputs, owner, partial, 0, pitch, rows, padded * 4, sum, tag)},
                  {});
          if (op.mask) late_.loads.emplace_back(Only(Axis::kOutputs, owner, load_mask()));
          late_.waits.push_back(Summed(Axis::kOutputs, owner, sum, tag));
          late_.work.push_back(
              Only(Axis::kOutputs, owner, Elements(sum, 0, pitch, rows, padded, finish, tag)));
        }
      }
    }
    if (sums > 1) late_.stores.push_back(store());
    if (most >= local_batch_) resident_[dx] = results;
  }
}

// ---- weight update

// The owner puts its parameter into its own values, so that the sum over the nodes is the parameter
// after the step.
void Mapper::AddToParameter(int parameter, int64_t row, int64_t col, int64_t cols, int owner,
                            bool take_step, std::vector<Load> loads, const ComputeSpec& product,
                            int tag) {
  const int64_t rows = product.Rows();
  const int64_t padded = RoundUp(cols, v_.array.cols);
  const int64_t pitch = RoundUp(padded * 4, std::max(kAccess, word_));
  const int own = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
  VectorSpec values;
  values.out = own;
  values.out_pitch = pitch;
  if (take_step) {
    loads.emplace_back(Only(Axis::kBatch, owner,
                            LoadPlain(parameter, row, rows, col, cols, 0, pitch, false, own, tag)));
    values.aux = own;
    values.aux_part = owner;
    values.aux_kind = Aux::kAdd;
    values.aux_pitch = pitch;
    values.scale = true;
  }
  int sum = own;
  std::vector<Step> sends;
  Late after;
  if (grid_.batch.parts > 1) {
    sum = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
    sends.push_back(Reduce(Axis::kBatch, owner, own, 0, pitch, rows, padded * 4, sum, tag));
    after.waits.push_back(Summed(Axis::kBatch, owner, sum, tag));
  }
  const int target = take_step ? parameter : gradient_of_.at(parameter);
  after.stores.push_back(
      Only(Axis::kBatch, owner, StorePlain(target, row, rows, col, cols, pitch, sum, tag)));
  AddTile(std::move(loads), {}, Compute(product, tag), Vector(product, values, tag),
          std::move(sends), {});
  late_ = std::move(after);
}

void Mapper::AddUpdate(const TrainingOp& op, int tag, double budget) {
  const LayerPlan& plan = plan_[op.layer];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int w = tensor_of_[op.Tensor(Role::kW)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const int64_t cols = v_.array.cols;
  const int64_t k = local_batch_;
  const int64_t pitch = KWords(k) * word_;
  const int64_t n = local_[w].cols;
  const int64_t slice = RoundUp(plan.slice, cols);
  const int64_t halves = HalvesOf(dz);
  const int64_t low = halves > 1 ? slice * pitch : 0;
  const int parts = grid_.batch.parts;
  // Blocks of one owner make a tile, as many as the accumulators hold; a longer block goes in
  // parts.
  const int64_t rows_of_part = std::min<int64_t>(plan.block, v_.AccHalfDepth());
  const int64_t groups =
      std::max<int64_t>(1, std::min<int64_t>(plan.tile, v_.AccHalfDepth()) / plan.block);
  const int64_t tile = rows_of_part * groups;

  int64_t wide = n;
  while (wide > kSliceStep && halves * slice * pitch + 2 * RoundUp(wide, cols) * pitch +
                                      6 * tile * RoundUp(wide, cols) * 4 >
                                  Scratchpad(budget) / 2) {
    wide = RoundUp(CeilDiv(wide, 2), kSliceStep);
  }
  if (data_flow_[tag].empty()) {
    data_flow_[tag] =
        fmt::format("{} transposed stationary in the array, tiles of {} x {}{}", local_[x].name,
                    tile, wide, parts > 1 ? fmt::format(", summed over {} nodes", parts) : "");
  }
  // dZ^T of all outputs of the node stays.
  const int a = s_->AddBuffer(static_cast<uint32_t>(halves * slice * pitch), true);
  std::vector<Load> first;
  for (Step& step : LoadOperand({dz, true}, 0, plan.slice, slice, k, a, tag)) {
    first.emplace_back(std::move(step));
  }
  for (const bool take_step : {false, true}) {
    if (!take_step && !keep_gradients_) continue;
    for (int64_t col = 0; col < n; col += wide) {
      const int64_t count = std::min(wide, n - col);
      const int64_t padded = RoundUp(count, cols);
      const int b = s_->AddBuffer(static_cast<uint32_t>(padded * pitch), true);
      for (Step& step : LoadOperand({x, true}, col, count, padded, k, b, tag)) {
        first.emplace_back(std::move(step));
      }
      auto add_blocks = [&](int64_t block, int64_t blocks) {
        for (int64_t at = 0; at < plan.RowsOf(block); at += rows_of_part) {
          ComputeSpec product{a,
                              b,
                              (block * plan.block + at) * pitch,
                              pitch,
                              0,
                              pitch,
                              std::min(rows_of_part, plan.RowsOf(block) - at),
                              padded / cols,
                              KWords(k)};
          product.a_low = low;
          product.groups = blocks;
          product.group_pitch = parts * plan.block * pitch;
          AddToParameter(w, block / parts * plan.block + at, col, count,
                         static_cast<int>(block % parts), take_step, std::exchange(first, {}),
                         product, tag);
        }
      };
      // Owners take turns, so that their memories share the work.
      for (int64_t turn = 0; turn * parts < plan.Blocks(); turn += groups) {
        for (int64_t block = turn * parts; block < (turn + 1) * parts; ++block) {
          if (block >= plan.Blocks()) break;
          const int64_t blocks = std::min<int64_t>(groups, CeilDiv(plan.Blocks() - block, parts));
          const int64_t last = block + (blocks - 1) * parts;
          const bool is_short = plan.RowsOf(last) < plan.RowsOf(block);
          add_blocks(block, is_short ? blocks - 1 : blocks);
          if (is_short) add_blocks(last, 1);
        }
      }
    }
    if (bias >= 0) {
      const int64_t one_pitch = OperandPitch({ones_, false}, k);
      const int ones = s_->AddBuffer(static_cast<uint32_t>(one_pitch), false);
      ComputeSpec product{ones, a, 0, one_pitch, 0, pitch, 1, slice / cols, KWords(k)};
      product.b_low = low;
      AddToParameter(bias, 0, 0, plan.slice, 0, take_step,
                     {LoadPlain(ones_, 0, 1, 0, k, 0, one_pitch, false, ones, tag)}, product, tag);
    }
  }
}

}  // namespace vaultrain
