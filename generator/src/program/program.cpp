// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/program.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

using nlohmann::json;

constexpr char kMagic[] = {'V', 'T', 'P', 'R', 'O', 'G', '\r', '\n'};
constexpr uint32_t kVersion = 4;

// Offsets in the header.
constexpr size_t kVersionAt = 8;
constexpr size_t kCrcAt = 12;
constexpr size_t kSizeAt = 16;
constexpr size_t kDigestAt = 24;
constexpr size_t kZerosAt = 56;
constexpr size_t kHeaderBytes = 64;

// Names in the file; the index is the enumerator.
constexpr const char* kFormatNames[] = {"bf16", "fp32", "u16", "fx16", "fp16"};
constexpr const char* kRoleNames[] = {"input",  "label",    "constant", "weight", "activation",
                                      "logits", "gradient", "loss",     "state"};

uint32_t Crc32(std::span<const uint8_t> bytes) {
  uLong crc = crc32_z(0, Z_NULL, 0);
  return static_cast<uint32_t>(crc32_z(crc, bytes.data(), bytes.size()));
}

template <typename T>
void PutLittle(std::span<uint8_t> header, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) header[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

template <typename T>
T GetLittle(std::span<const uint8_t> header, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(T{header[at + i]} << (8 * i));
  return value;
}

json Binary(std::span<const uint8_t> bytes) {
  return json::binary(std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

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
      nodes.push_back({{"address", node.address}, {"descriptors", Binary(DescriptorBytes(node))}});
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
    image.push_back({{"address", s.address}, {"bytes", Binary(s.bytes)}});
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

// Reads the fields of one map; every refusal names the file and the field.
class Map {
 public:
  Map(const std::string& file, std::string where, const json& value)
      : file_(file), where_(std::move(where)), map_(value) {
    if (!map_.is_object()) RefuseInput("{}: {} is not a map", file_, where_);
  }

  const json& Any(const char* key) {
    const auto entry = map_.find(key);
    if (entry == map_.end()) RefuseInput("{}: {} lacks '{}'", file_, where_, key);
    ++taken_;
    return *entry;
  }

  std::string Text(const char* key) {
    const json& value = Any(key);
    if (!value.is_string()) Refuse(key, "text");
    return value.get<std::string>();
  }

  const std::vector<uint8_t>& Bytes(const char* key) {
    const json& value = Any(key);
    if (!value.is_binary()) Refuse(key, "bytes");
    return value.get_binary();
  }

  const json& List(const char* key) {
    const json& value = Any(key);
    if (!value.is_array()) Refuse(key, "a list");
    return value;
  }

  // An integer that T holds and that is not below `least`.
  template <typename T>
  T Integer(const char* key, T least = 0) {
    const json& value = Any(key);
    if (!value.is_number_integer()) Refuse(key, "an integer");
    const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<uint64_t>())
                                                 : std::in_range<T>(value.get<int64_t>());
    if (!fits || value.get<T>() < least) Refuse(key, "an integer in range");
    return value.get<T>();
  }

  template <typename Enum, size_t kCount>
  Enum Choice(const char* key, const char* const (&names)[kCount]) {
    const std::string text = Text(key);
    const auto name = std::find(std::begin(names), std::end(names), text);
    if (name == std::end(names)) Refuse(key, "one of its names");
    return static_cast<Enum>(name - std::begin(names));
  }

  // To be called when all fields were read.
  void Close() const {
    if (map_.size() != taken_) RefuseInput("{}: {} has an unknown field", file_, where_);
  }

  [[noreturn]] void Refuse(const char* key, const char* expected) const {
    RefuseInput("{}: '{}' in {} is not {}", file_, key, where_, expected);
  }

 private:
  const std::string& file_;
  std::string where_;
  const json& map_;
  size_t taken_ = 0;
};

Program FromJson(const std::string& file, const json& body) {
  Program program;
  Map map(file, "the program", body);
  const std::vector<uint8_t>& digest = map.Bytes("variant_digest");
  if (digest.size() != program.variant_digest.size()) map.Refuse("variant_digest", "32 bytes");
  std::copy(digest.begin(), digest.end(), program.variant_digest.begin());
  program.variant = map.Text("variant");
  program.network = map.Text("network");
  program.partition = map.Text("partition");
  program.batch = map.Integer<int>("batch");
  program.classes = map.Integer<int>("classes");
  program.memory_bytes = map.Integer<uint64_t>("memory_bytes");
  program.macs_needed = map.Integer<uint64_t>("macs_needed");
  program.bound_bytes = map.Integer<uint64_t>("bound_bytes");
  for (const json& entry : map.List("tensors")) {
    Map from(file, fmt::format("tensor {}", program.tensors.size()), entry);
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
    Map from(file, fmt::format("stream {}", program.streams.size()), entry);
    ProgramStream& stream = program.streams.emplace_back();
    stream.name = from.Text("name");
    for (const json& node_entry : from.List("nodes")) {
      Map node_from(file, fmt::format("node {} of stream {}", stream.nodes.size(), stream.name),
                    node_entry);
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
    Map from(file, fmt::format("job {}", program.jobs.size()), entry);
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
    Map from(file, fmt::format("segment {} of the image", program.image.size()), entry);
    ProgramSegment& segment = program.image.emplace_back();
    segment.address = from.Integer<uint64_t>("address");
    segment.bytes = from.Bytes("bytes");
    from.Close();
  }
  program.recipe = map.Any("recipe");
  map.Close();
  return program;
}

// Closes and removes the file unless it was renamed to what it shall be.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : target_(path), path_(fmt::format("{}.{}.partial", path, getpid())) {
    fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) Fail();
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ >= 0) {
      close(fd_);
      unlink(path_.c_str());
    }
  }

  void Write(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) Fail();
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void Commit() {
    if (fsync(fd_) != 0 || std::rename(path_.c_str(), target_.c_str()) != 0) Fail();
    close(fd_);
    fd_ = -1;
  }

 private:
  [[noreturn]] void Fail() const {
    RefuseInput("{}: cannot be written: {}", target_, std::strerror(errno));
  }

  std::string target_;
  std::string path_;
  int fd_ = -1;
};

std::vector<uint8_t> ReadAll(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  std::vector<uint8_t> bytes;
  size_t got = file ? 1 : 0;
  while (got > 0) {
    const size_t size = bytes.size();
    bytes.resize(size + (size_t{1} << 16));
    got = std::fread(bytes.data() + size, 1, bytes.size() - size, file.get());
    bytes.resize(size + got);
  }
  if (!file || std::ferror(file.get())) {
    RefuseInput("{}: cannot be read: {}", path, std::strerror(errno));
  }
  return bytes;
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
  const std::vector<uint8_t> body = json::to_cbor(ToJson(program));
  std::array<uint8_t, kHeaderBytes> header{};
  std::copy(std::begin(kMagic), std::end(kMagic), header.begin());
  PutLittle(header, kVersionAt, kVersion);
  PutLittle(header, kCrcAt, Crc32(body));
  PutLittle(header, kSizeAt, uint64_t{body.size()});
  std::copy(program.variant_digest.begin(), program.variant_digest.end(),
            header.begin() + kDigestAt);
  TemporaryFile file(path);
  file.Write(header);
  file.Write(body);
  file.Commit();
}

Program ReadProgram(const std::string& path, const Digest* expected_variant) {
  const std::vector<uint8_t> bytes = ReadAll(path);
  const size_t magic_bytes = std::min(bytes.size(), sizeof(kMagic));
  if (bytes.empty() || !std::equal(bytes.begin(), bytes.begin() + magic_bytes, kMagic)) {
    RefuseInput("{}: not a program file: it does not start with the magic VTPROG", path);
  }
  if (bytes.size() < kHeaderBytes) {
    RefuseInput("{}: truncated: {} bytes of a header of {}", path, bytes.size(), kHeaderBytes);
  }
  const std::span<const uint8_t> header(bytes.data(), kHeaderBytes);
  const std::span<const uint8_t> body(bytes.data() + kHeaderBytes, bytes.size() - kHeaderBytes);
  const uint32_t version = GetLittle<uint32_t>(header, kVersionAt);
  if (version != kVersion) {
    RefuseInput("{}: program format version {}; this release reads version {}", path, version,
                kVersion);
  }
  const uint64_t size = GetLittle<uint64_t>(header, kSizeAt);
  if (body.size() != size) {
    RefuseInput("{}: {}: {} bytes follow the header, which says {}", path,
                body.size() < size ? "truncated" : "too long", body.size(), size);
  }
  const uint32_t crc = GetLittle<uint32_t>(header, kCrcAt);
  if (Crc32(body) != crc) {
    RefuseInput("{}: damaged: its CRC-32 is {:08x}, the header says {:08x}", path, Crc32(body),
                crc);
  }
  if (std::any_of(header.begin() + kZerosAt, header.end(), [](uint8_t b) { return b != 0; })) {
    RefuseInput("{}: damaged: the last {} bytes of the header must be zero", path,
                kHeaderBytes - kZerosAt);
  }
  Digest digest;
  std::copy_n(header.begin() + kDigestAt, digest.size(), digest.begin());
  if (expected_variant != nullptr && digest != *expected_variant) {
    RefuseInput("{}: a program of the variant with digest {}; this variant has digest {}", path,
                ToHex(digest), ToHex(*expected_variant));
  }

  const json map = json::from_cbor(body.begin(), body.end(), true, false);
  if (map.is_discarded()) RefuseInput("{}: what follows the header is not CBOR", path);
  Program program = FromJson(path, map);
  if (program.variant_digest != digest) {
    RefuseInput("{}: damaged: header and program name different variant digests", path);
  }
  return program;
}

}  // namespace vaultrain
