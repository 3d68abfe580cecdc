// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/program.h"

#include <algorithm>
#include <stdexcept>

#include "program/sealed_file.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

using nlohmann::json;

constexpr SealedKind kKind = {"VTPROG\r\n", 4, "program"};

// Names in the file; the index is the enumerator.
constexpr const char* kFormatNames[] = {"bf16", "fp32", "u16", "fx16", "fp16"};
constexpr const char* kRoleNames[] = {"input",  "label",    "constant", "weight", "activation",
                                      "logits", "gradient", "loss",     "state"};

json ToJson(const Program& program) {
  json tensors = json::array();
  for (const ProgramTensor& t : program.tensors) {
    tensors.push_back({{"name", t.name},
                       {"tensor", t.tensor},
                       {"role", kRoleNames[static_cast<int>(t.role)]},
                       {"format", kFormatNames[static_cast<int>(t.format)]},
                       {"fraction_bits", t.fraction_bits},
                       {"address", t.address},
                       {"rows", t.rows},
                       {"cols", t.cols},
                       {"pitch_bytes", t.pitch_bytes},
                       {"row", t.row},
                       {"col", t.col},
                       {"height", t.height},
                       {"width", t.width},
                       {"x_pitch", t.x_pitch},
                       {"y_pitch", t.y_pitch},
                       {"source", t.source}});
  }
  json streams = json::array();
  for (const ProgramStream& s : program.streams) {
    json nodes = json::array();
    for (const NodeProgram& node : s.nodes) {
      nodes.push_back(
          {{"address", node.address}, {"descriptors", json::binary(DescriptorBytes(node))}});
    }
    streams.push_back({{"name", s.name}, {"nodes", std::move(nodes)}});
  }
  json jobs = json::array();
  for (const ProgramJob& j : program.jobs) {
    jobs.push_back({{"tag", j.tag},
                    {"layer", j.layer},
                    {"phase", j.phase},
                    {"data_flow", j.data_flow},
                    {"macs", j.macs},
                    {"dram_bytes", j.dram_bytes},
                    {"noc_bytes", j.noc_bytes}});
  }
  json image = json::array();
  for (const ProgramSegment& s : program.image) {
    image.push_back({{"address", s.address}, {"bytes", json::binary(s.bytes)}});
  }
  return {{"variant_digest", Binary(program.variant_digest)},
          {"variant", program.variant},
          {"network", program.network},
          {"partition", program.partition},
          {"batch", program.batch},
          {"classes", program.classes},
          {"memory_bytes", program.memory_bytes},
          {"macs_needed", program.macs_needed},
          {"bound_bytes", program.bound_bytes},
          {"tensors", std::move(tensors)},
          {"streams", std::move(streams)},
          {"jobs", std::move(jobs)},
          {"image", std::move(image)},
          {"recipe", program.recipe}};
}

Program FromJson(const std::string& file, const json& body) {
  Program program;
  SealedMap map(file, "the program", body);
  program.variant_digest = map.Sha("variant_digest");
  program.variant = map.Text("variant");
  program.network = map.Text("network");
  program.partition = map.Text("partition");
  program.batch = map.Integer<int>("batch");
  program.classes = map.Integer<int>("classes");
  program.memory_bytes = map.Integer<uint64_t>("memory_bytes");
  program.macs_needed = map.Integer<uint64_t>("macs_needed");
  program.bound_bytes = map.Integer<uint64_t>("bound_bytes");
  for (const json& entry : map.List("tensors")) {
    SealedMap from(file, fmt::format("tensor {}", program.tensors.size()), entry);
    ProgramTensor& tensor = program.tensors.emplace_back();
    tensor.name = from.Text("name");
    tensor.tensor = from.Text("tensor");
    tensor.role = from.Choice<TensorRole>("role", kRoleNames);
    tensor.format = from.Choice<ElementFormat>("format", kFormatNames);
    tensor.fraction_bits = from.Integer<int>("fraction_bits");
    tensor.address = from.Integer<uint64_t>("address");
    tensor.rows = from.Integer<int64_t>("rows");
    tensor.cols = from.Integer<int64_t>("cols");
    tensor.pitch_bytes = from.Integer<int64_t>("pitch_bytes");
    tensor.row = from.Integer<int64_t>("row");
    tensor.col = from.Integer<int64_t>("col");
    tensor.height = from.Integer<int64_t>("height", 1);
    tensor.width = from.Integer<int64_t>("width", 1);
    tensor.x_pitch = from.Integer<int64_t>("x_pitch");
    tensor.y_pitch = from.Integer<int64_t>("y_pitch");
    for (const json& value : from.List("source")) {
      if (!value.is_number_integer() || !std::in_range<int32_t>(value.get<int64_t>())) {
        from.Refuse("source", "a list of integers");
      }
      tensor.source.push_back(value.get<int32_t>());
    }
    from.Close();
  }
  for (const json& entry : map.List("streams")) {
    SealedMap from(file, fmt::format("stream {}", program.streams.size()), entry);
    ProgramStream& stream = program.streams.emplace_back();
    stream.name = from.Text("name");
    for (const json& node_entry : from.List("nodes")) {
      SealedMap node_from(
          file, fmt::format("node {} of stream {}", stream.nodes.size(), stream.name), node_entry);
      NodeProgram& node = stream.nodes.emplace_back();
      node.address = node_from.Integer<uint64_t>("address");
      const std::vector<uint8_t>& bytes = node_from.Bytes("descriptors");
      if (bytes.size() % isa::kDescriptorBytes != 0) {
        node_from.Refuse("descriptors", "64 bytes each");
      }
      node.descriptors.resize(bytes.size() / isa::kDescriptorBytes);
      for (size_t i = 0; i < node.descriptors.size(); ++i) {
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(i * isa::kDescriptorBytes),
                    isa::kDescriptorBytes, node.descriptors[i].bytes().begin());
      }
      node_from.Close();
    }
    from.Close();
  }
  for (const json& entry : map.List("jobs")) {
    SealedMap from(file, fmt::format("job {}", program.jobs.size()), entry);
    ProgramJob& job = program.jobs.emplace_back();
    job.tag = from.Integer<int>("tag");
    if (job.tag >= isa::kTags) from.Refuse("tag", "below 64");
    job.layer = from.Text("layer");
    job.phase = from.Text("phase");
    job.data_flow = from.Text("data_flow");
    job.macs = from.Integer<uint64_t>("macs");
    job.dram_bytes = from.Integer<uint64_t>("dram_bytes");
    job.noc_bytes = from.Integer<uint64_t>("noc_bytes");
    from.Close();
  }
  for (const json& entry : map.List("image")) {
    SealedMap from(file, fmt::format("segment {} of the image", program.image.size()), entry);
    ProgramSegment& segment = program.image.emplace_back();
    segment.address = from.Integer<uint64_t>("address");
    segment.bytes = from.Bytes("bytes");
    from.Close();
  }
  program.recipe = map.Any("recipe");
  map.Close();
  return program;
}

template <typename T>
const T& Named(const std::vector<T>& list, const char* kind, const std::string& name) {
  for (const T& entry : list) {
    if (entry.name == name) return entry;
  }
  throw std::out_of_range(fmt::format("the program has no {} named '{}'", kind, name));
}

}  // namespace

std::vector<uint8_t> DescriptorBytes(const NodeProgram& node) {
  std::vector<uint8_t> bytes;
  bytes.reserve(node.descriptors.size() * isa::kDescriptorBytes);
  for (const isa::Descriptor& d : node.descriptors) {
    bytes.insert(bytes.end(), d.bytes().begin(), d.bytes().end());
  }
  return bytes;
}

std::string_view ElementName(ElementFormat format) {
  return kFormatNames[static_cast<int>(format)];
}

ElementFormat ElementOf(NumberFormat format) {
  switch (format) {
    case NumberFormat::kBf16:
      return ElementFormat::kBf16;
    case NumberFormat::kFx16:
      return ElementFormat::kFx16;
    case NumberFormat::kFp16:
      return ElementFormat::kFp16;
    case NumberFormat::kFp32:
      break;
  }
  return ElementFormat::kFp32;
}

int BytesOf(ElementFormat format) { return format == ElementFormat::kFp32 ? 4 : 2; }

const ProgramTensor& Program::Tensor(const std::string& name) const {
  return Named(tensors, "tensor", name);
}

const ProgramStream& Program::Stream(const std::string& name) const {
  return Named(streams, "stream", name);
}

void WriteProgram(const std::string& path, const Program& program) {
  WriteSealed(path, kKind, program.variant_digest, ToJson(program));
}

Program ReadProgram(const std::string& path, const Digest* expected_variant) {
  const Sealed sealed = ReadSealed(path, kKind, expected_variant);
  Program program = FromJson(path, sealed.body);
  if (program.variant_digest != sealed.variant) {
    RefuseInput("{}: damaged: header and program name different variant digests", path);
  }
  return program;
}

Digest ProgramDigest(const Program& program) {
  const std::vector<uint8_t> body = json::to_cbor(ToJson(program));
  return Sha256({reinterpret_cast<const char*>(body.data()), body.size()});
}

}  // namespace vaultrain
