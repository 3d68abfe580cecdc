// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/checkpoint.h"

#include "program/sealed_file.h"
#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

using nlohmann::json;

constexpr SealedKind kKind = {"VTCKPT\r\n", 1, "checkpoint"};

json ToJson(const Recipe& recipe) {
  json map = json::object();
  for (const RecipeKey& key : RecipeKeys()) {
    std::visit([&](auto field) { map[std::string(key.name)] = recipe.*field; }, key.field);
  }
  return map;
}

json ToJson(const Checkpoint& checkpoint) {
  json tensors = json::array();
  for (const CheckpointTensor& t : checkpoint.tensors) {
    tensors.push_back({{"name", t.name}, {"values", json::binary(t.values)}});
  }
  const TrainingIdentity& of = checkpoint.identity;
  return {{"variant_digest", Binary(of.variant)},
          {"network_digest", Binary(of.network)},
          {"data_digest", Binary(of.data)},
          {"program_digest", Binary(of.program)},
          {"variant", of.variant_name},
          {"network", of.network_name},
          {"data", of.data_name},
          {"partition", of.partition},
          {"keep_gradients", of.keep_gradients},
          {"steps", of.steps},
          {"recipe", of.recipe},
          {"step", checkpoint.step},
          {"place", checkpoint.place},
          {"loss", checkpoint.loss},
          {"cycles", checkpoint.cycles},
          {"steps_compared", checkpoint.steps_compared},
          {"tensors_compared", checkpoint.tensors_compared},
          {"tensors", std::move(tensors)}};
}

// What a value of the recipe looks like in a message.
std::string Shown(const json& value) {
  return value.is_string() ? Quote(value.get<std::string>()) : value.dump();
}

void CheckRecipe(const std::string& path, const json& then, const json& now) {
  for (const auto& [key, value] : now.items()) {
    // Together they give the number of steps, which is compared itself.
    if (key == "steps" || key == "epochs") continue;
    const auto found = then.find(key);
    if (found == then.end()) RefuseInput("{}: the recipe lacks '{}'", path, key);
    if (*found != value) {
      RefuseInput("{}: a checkpoint of a training with {} = {}; this one has {}", path, key,
                  Shown(*found), Shown(value));
    }
  }
}

}  // namespace

TrainingIdentity IdentityOf(const Program& program, const Recipe& recipe, int64_t steps) {
  TrainingIdentity identity;
  identity.variant = program.variant_digest;
  identity.program = ProgramDigest(program);
  identity.variant_name = program.variant;
  identity.network_name = program.network;
  identity.partition = program.partition;
  identity.steps = steps;
  identity.recipe = ToJson(recipe);
  return identity;
}

void WriteCheckpoint(const std::string& path, const Checkpoint& checkpoint) {
  WriteSealed(path, kKind, checkpoint.identity.variant, ToJson(checkpoint));
}

Checkpoint ReadCheckpoint(const std::string& path, const TrainingIdentity& run) {
  const Sealed sealed = ReadSealed(path, kKind, nullptr);
  Checkpoint read;
  TrainingIdentity& of = read.identity;
  SealedMap map(path, "the checkpoint", sealed.body);
  of.variant = map.Sha("variant_digest");
  of.network = map.Sha("network_digest");
  of.data = map.Sha("data_digest");
  of.program = map.Sha("program_digest");
  of.variant_name = map.Text("variant");
  of.network_name = map.Text("network");
  of.data_name = map.Text("data");
  of.partition = map.Text("partition");
  const json& keeps = map.Any("keep_gradients");
  if (!keeps.is_boolean()) map.Refuse("keep_gradients", "true or false");
  of.keep_gradients = keeps.get<bool>();
  of.steps = map.Integer<int64_t>("steps");
  of.recipe = map.Any("recipe");
  if (!of.recipe.is_object()) map.Refuse("recipe", "a map");
  read.step = map.Integer<int64_t>("step");
  read.place = map.Integer<uint64_t>("place");
  for (const json& value : map.List("loss")) {
    // JSON has no NaN; CBOR has.
    if (!value.is_number_float()) map.Refuse("loss", "a list of numbers");
    read.loss.push_back(value.get<double>());
  }
  read.cycles = map.Integer<uint64_t>("cycles");
  read.steps_compared = map.Integer<int64_t>("steps_compared");
  read.tensors_compared = map.Integer<uint64_t>("tensors_compared");
  for (const json& entry : map.List("tensors")) {
    SealedMap from(path, fmt::format("tensor {}", read.tensors.size()), entry);
    CheckpointTensor& tensor = read.tensors.emplace_back();
    tensor.name = from.Text("name");
    tensor.values = from.Bytes("values");
    from.Close();
  }
  map.Close();

  if (of.variant != sealed.variant) {
    RefuseInput("{}: damaged: header and checkpoint name different variant digests", path);
  }
  if (of.variant != run.variant) {
    RefuseInput("{}: a checkpoint of variant {} with digest {:.16}; this one is {}, {:.16}", path,
                Quote(of.variant_name), ToHex(of.variant), Quote(run.variant_name),
                ToHex(run.variant));
  }
  if (of.network != run.network) {
    RefuseInput("{}: a checkpoint of network {} with digest {:.16}; this one is {}, {:.16}", path,
                Quote(of.network_name), ToHex(of.network), Quote(run.network_name),
                ToHex(run.network));
  }
  CheckRecipe(path, of.recipe, run.recipe);
  const bool may_go_on = run.recipe.at("schedule") == "constant" && run.steps >= read.step;
  if (of.steps != run.steps && !may_go_on) {
    RefuseInput(
        "{}: a checkpoint of a training of {} steps, of which {} are done; this one has {}; "
        "accepted: as many, or with a constant learning rate no fewer than are done",
        path, of.steps, read.step, run.steps);
  }
  if (of.data != run.data) {
    RefuseInput("{}: a checkpoint of a training on {}; the images or labels of {} are others", path,
                Quote(of.data_name), Quote(run.data_name));
  }
  if (of.partition != run.partition) {
    RefuseInput("{}: a checkpoint of partition {}; this one is {}", path, Quote(of.partition),
                Quote(run.partition));
  }
  if (of.keep_gradients != run.keep_gradients) {
    RefuseInput("{}: a checkpoint of a training {} --keep-gradients; accepted: the same", path,
                of.keep_gradients ? "with" : "without");
  }
  if (of.program != run.program) {
    RefuseInput(
        "{}: a checkpoint of another program than this release compiles; accepted: the release "
        "that wrote it",
        path);
  }
  const auto batch = run.recipe.at("batch").get<uint64_t>();
  if (read.loss.size() != static_cast<uint64_t>(read.step) || read.step > of.steps ||
      read.place != static_cast<uint64_t>(read.step) * batch) {
    RefuseInput("{}: damaged: {} steps of {} done, {} losses, place {} of the data order", path,
                read.step, of.steps, read.loss.size(), read.place);
  }
  return read;
}

}  // namespace vaultrain
