// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// 10,000 damaged ONNX files: each is read, the same way twice, or refused with one line that names
// the file, within a second and without memory beyond that of the file. A crash prints the case.
//
// Repeat one case: VT_FUZZ_CASE=N build/verif/onnx_fuzz_test

#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <set>

#include "network/image_window.h"
#include "unit/chain_draw.h"
#include "unit/onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/networks.h"
#include "vaultrain/training_graph.h"

// ---- the largest piece of memory that was asked for

namespace {
std::atomic<size_t> largest_piece{0};
}  // namespace

void* operator new(size_t bytes) {
  size_t seen = largest_piece.load();
  while (bytes > seen && !largest_piece.compare_exchange_weak(seen, bytes)) {
  }
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t /*bytes*/) noexcept { std::free(memory); }

namespace vaultrain {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kCases = 10'000;
constexpr double kMaxSeconds = 1.0;
constexpr size_t kRoom = size_t{1} << 20;
const std::string kFile = "fuzz.onnx";

char crash_note[64];
size_t crash_note_size = 0;

void OnCrash(int signal) {
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, crash_note, crash_note_size);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// ---- mutations

// Numbers at which sizes, counts and versions go wrong.
int64_t OddNumber(Random& random) {
  constexpr int64_t kOdd[] = {0,
                              1,
                              -1,
                              2,
                              -2,
                              7,
                              18,
                              255,
                              65536,
                              65537,
                              (int64_t{1} << 28) - 1,
                              int64_t{1} << 28,
                              (int64_t{1} << 28) + 1,
                              int64_t{1} << 31,
                              (int64_t{1} << 31) - 1,
                              int64_t{1} << 32,
                              int64_t{1} << 62,
                              std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min()};
  return random.Below(8) == 0 ? static_cast<int64_t>(random.Next())
                              : kOdd[random.Below(std::size(kOdd))];
}

// All fields that are set, of a message and what it holds.
struct Place {
  Message* message;
  const FieldDescriptor* field;
  int index;  // of a repeated field, or -1
};

void Collect(Message* message, std::vector<Place>& places, int depth = 0) {
  const Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
    for (int i = 0; i < count; ++i) {
      places.push_back({message, field, field->is_repeated() ? i : -1});
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || depth > 40) continue;
      Collect(field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, i)
                                   : reflection->MutableMessage(message, field),
              places, depth + 1);
    }
  }
}

class Mutator {
 public:
  Mutator(Random& random, const std::vector<std::string>& seeds) : random_(random), seeds_(seeds) {}

  std::string Make() {
    const std::string& seed = seeds_[random_.Below(seeds_.size())];
    switch (random_.Below(3)) {
      case 0:
        return Bytes(seed);
      case 1:
        return Fields(seed);
      default:
        return Meanings(seed);
    }
  }

 private:
  uint64_t Below(size_t n) { return random_.Below(n); }

  // Flipped, lost, inserted and doubled bytes.
  std::string Bytes(std::string bytes) {
    for (uint64_t n = 1 + Below(4); n > 0 && !bytes.empty(); --n) {
      const size_t at = Below(bytes.size());
      switch (Below(6)) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes.erase(at, 1 + Below(16));
          break;
        case 2:
          bytes.insert(at, 1 + Below(9), static_cast<char>(Below(256)));
          break;
        case 3:
          bytes.insert(at, bytes.substr(Below(bytes.size()), Below(200)));
          break;
        default:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
      }
    }
    return bytes;
  }

  std::string OddText(const std::string& was) {
    switch (Below(8)) {
      case 0:
        return "";
      case 1:
        return "two\nlines\r\x1b[31m";
      case 2:
        return std::string(1 + Below(5000), 'n');
      case 3:
        return was + was;
      case 4:
        return "x";
      case 5:
        return was.substr(0, was.size() / 2);
      default:
        return names_.empty() ? "y" : names_[Below(names_.size())];
    }
  }

  // Any field of any message gets an odd value, is lost, doubled or moved.
  std::string Fields(const std::string& seed) {
    onnx::ModelProto model;
    model.ParseFromString(seed);
    for (uint64_t n = 1 + Below(3); n > 0; --n) {
      std::vector<Place> places;
      Collect(&model, places);
      if (places.empty()) break;
      CollectNames(model);
      Change(places[Below(places.size())]);
    }
    return model.SerializePartialAsString();
  }

  void CollectNames(const onnx::ModelProto& model) {
    names_.clear();
    for (const auto& node : model.graph().node()) {
      names_.push_back(node.op_type());
      names_.insert(names_.end(), node.input().begin(), node.input().end());
      names_.insert(names_.end(), node.output().begin(), node.output().end());
    }
  }

  void Change(const Place& place) {
    Message* m = place.message;
    const FieldDescriptor* f = place.field;
    const Reflection* r = m->GetReflection();
    const int i = place.index;
    if (f->is_repeated() && Below(3) == 0) {
      const int count = r->FieldSize(*m, f);
      if (Below(2) == 0) {
        r->RemoveLast(m, f);
      } else {
        r->SwapElements(m, f, i, static_cast<int>(Below(static_cast<size_t>(count))));
      }
      return;
    }
    if (Below(5) == 0) return r->ClearField(m, f);
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT64: {
        const int64_t value = OddNumber(random_);
        i < 0 ? r->SetInt64(m, f, value) : r->SetRepeatedInt64(m, f, i, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_INT32: {
        const auto value = static_cast<int32_t>(OddNumber(random_));
        i < 0 ? r->SetInt32(m, f, value) : r->SetRepeatedInt32(m, f, i, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_FLOAT: {
        const float odd[] = {0.0f, -1.0f, 1e38f, std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()};
        const float value = odd[Below(std::size(odd))];
        i < 0 ? r->SetFloat(m, f, value) : r->SetRepeatedFloat(m, f, i, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string was = i < 0 ? r->GetString(*m, f) : r->GetRepeatedString(*m, f, i);
        const std::string value = OddText(was);
        i < 0 ? r->SetString(m, f, value) : r->SetRepeatedString(m, f, i, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto value = static_cast<int>(Below(25));
        i < 0 ? r->SetEnumValue(m, f, value) : r->SetRepeatedEnumValue(m, f, i, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (i >= 0) {
          // Once more, as it is.
          const std::string copy = r->GetRepeatedMessage(*m, f, i).SerializePartialAsString();
          r->AddMessage(m, f)->ParsePartialFromString(copy);
        } else {
          r->MutableMessage(m, f)->Clear();
        }
        break;
      default:
        r->ClearField(m, f);
    }
  }

  // What a person or a tool gets wrong.
  std::string Meanings(const std::string& seed) {
    onnx::ModelProto model;
    model.ParseFromString(seed);
    for (uint64_t n = 1 + Below(2); n > 0; --n) Mistake(model);
    return model.SerializePartialAsString();
  }

  void Mistake(onnx::ModelProto& model) {
    onnx::GraphProto& graph = *model.mutable_graph();
    CollectNames(model);
    auto pick = [this](auto* list) -> decltype(&*list->begin()) {
      return list->empty() ? nullptr : &*(list->begin() + static_cast<int>(Below(list->size())));
    };
    onnx::NodeProto* node = pick(graph.mutable_node());
    onnx::ValueInfoProto* input = pick(graph.mutable_input());
    onnx::TensorProto* values = pick(graph.mutable_initializer());
    auto dims = [&]() -> onnx::TensorShapeProto::Dimension* {
      if (input == nullptr) return nullptr;
      return pick(input->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim());
    };
    switch (Below(16)) {
      case 0:  // an opset or IR that we do not know
        if (model.opset_import_size() > 0) {
          model.mutable_opset_import(0)->set_version(OddNumber(random_));
        }
        break;
      case 1:
        model.set_ir_version(OddNumber(random_));
        break;
      case 2:  // dynamic shape
        if (auto* dim = dims()) dim->set_dim_param("T");
        break;
      case 3:  // huge or negative
        if (auto* dim = dims()) dim->set_dim_value(OddNumber(random_));
        break;
      case 4:  // every dimension huge
        if (input != nullptr) {
          auto* shape = input->mutable_type()->mutable_tensor_type()->mutable_shape();
          const int64_t huge = int64_t{1} << Below(40);
          for (auto& dim : *shape->mutable_dim()) dim.set_dim_value(huge);
        }
        break;
      case 5:  // wrong rank
        if (input != nullptr) {
          auto* shape = input->mutable_type()->mutable_tensor_type()->mutable_shape();
          for (uint64_t more = 1 + Below(9); more > 0; --more) {
            shape->add_dim()->set_dim_value(static_cast<int64_t>(1 + Below(3)));
          }
        }
        break;
      case 6:
        if (input != nullptr && input->type().tensor_type().shape().dim_size() > 0) {
          input->mutable_type()
              ->mutable_tensor_type()
              ->mutable_shape()
              ->mutable_dim()
              ->RemoveLast();
        }
        break;
      case 7:  // a missing parameter
        if (graph.initializer_size() > 0) {
          graph.mutable_initializer()->DeleteSubrange(
              static_cast<int>(Below(static_cast<size_t>(graph.initializer_size()))), 1);
        } else if (graph.input_size() > 0) {
          graph.mutable_input()->DeleteSubrange(
              static_cast<int>(Below(static_cast<size_t>(graph.input_size()))), 1);
        }
        break;
      case 8:  // a cycle
        if (node != nullptr && node->input_size() > 0 && graph.node_size() > 0) {
          node->set_input(0, graph.node(graph.node_size() - 1).output_size() > 0
                                 ? graph.node(graph.node_size() - 1).output(0)
                                 : "");
        }
        break;
      case 9:
        if (node != nullptr) node->set_op_type(OddText(node->op_type()));
        break;
      case 10:  // a value too many, too few, of another type, or elsewhere
        if (values != nullptr) {
          switch (Below(5)) {
            case 0:
              values->add_float_data(1);
              break;
            case 1:
              values->set_raw_data(std::string(Below(40), 'r'));
              break;
            case 2:
              values->set_data_type(static_cast<int>(Below(20)));
              break;
            case 3:
              values->set_data_location(onnx::TensorProto::EXTERNAL);
              break;
            default:
              values->add_dims(OddNumber(random_));
          }
        }
        break;
      case 11:  // a huge initialiser without values
        if (values != nullptr) {
          for (int i = 0; i < values->dims_size(); ++i) values->set_dims(i, OddNumber(random_));
        }
        break;
      case 12:  // attributes that are out of range or not of the operator
        if (node != nullptr) {
          onnx::AttributeProto* attribute = node->attribute_size() > 0 && Below(3) > 0
                                                ? pick(node->mutable_attribute())
                                                : node->add_attribute();
          constexpr const char* kNames[] = {"pads",     "strides", "kernel_shape", "dilations",
                                            "auto_pad", "axis",    "group",        "ceil_mode"};
          if (attribute->name().empty()) attribute->set_name(kNames[Below(std::size(kNames))]);
          attribute->set_i(OddNumber(random_));
          if (attribute->ints_size() > 0) attribute->set_ints(0, OddNumber(random_));
          if (Below(3) == 0) attribute->add_ints(OddNumber(random_));
          if (Below(4) == 0) {
            attribute->set_type(static_cast<onnx::AttributeProto::AttributeType>(Below(12)));
          }
        }
        break;
      case 13:  // one more consumer or maker of a tensor
        if (node != nullptr) *graph.add_node() = *node;
        break;
      case 14:
        if (node != nullptr && node->output_size() > 0) {
          node->set_output(0, OddText(node->output(0)));
        }
        break;
      default:
        if (node != nullptr && node->input_size() > 0) {
          node->set_input(static_cast<int>(Below(static_cast<size_t>(node->input_size()))),
                          OddText(node->input(0)));
        }
    }
  }

  Random& random_;
  const std::vector<std::string>& seeds_;
  std::vector<std::string> names_;  // of the model at hand
};

// ---- reading

// What came of a file, in words: the same for the same file.
struct Outcome {
  bool read = false;
  std::string text;  // the refusal, or what was read
};

std::string Summary(const Graph& graph) {
  std::string text;
  for (const Tensor& t : graph.tensors) {
    text += fmt::format("{} {} {} {};", t.name, ShapeText(t.shape), t.values.size(), t.ints.size());
  }
  for (const Node& n : graph.nodes) text += fmt::format("{} {};", n.name, n.inputs.size());
  return text;
}

Outcome Read(const std::string& bytes) {
  Outcome outcome;
  try {
    const Graph graph = ParseOnnx(bytes, kFile);
    outcome.read = true;
    outcome.text = Summary(graph);
    const TrainingGraph trained = Differentiate(graph, 4);
    outcome.text += fmt::format("trained: {} MACs", trained.MacsNeeded());
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput) << error.what();
    outcome.text += error.what();
    const std::string message = error.what();
    EXPECT_EQ(message.rfind(kFile + ": ", 0), 0u) << message;
    EXPECT_GT(message.size(), kFile.size() + 10) << message;
    EXPECT_LT(message.size(), 4000u) << message.substr(0, 200);
    EXPECT_TRUE(std::all_of(message.begin(), message.end(), [](char c) {
      return c >= ' ' && c <= '~';
    })) << message;
  }
  return outcome;
}

// The same network with names that no line may show.
std::string WithUglyNames(const std::string& bytes) {
  onnx::ModelProto model;
  model.ParseFromString(bytes);
  onnx::GraphProto& graph = *model.mutable_graph();
  auto spoil = [](std::string* name) { *name += "\n\x1b[31m"; };
  for (auto& value : *graph.mutable_input()) spoil(value.mutable_name());
  for (auto& value : *graph.mutable_output()) spoil(value.mutable_name());
  for (auto& tensor : *graph.mutable_initializer()) spoil(tensor.mutable_name());
  for (auto& node : *graph.mutable_node()) {
    spoil(node.mutable_name());
    for (std::string& name : *node.mutable_input()) spoil(&name);
    for (std::string& name : *node.mutable_output()) spoil(&name);
  }
  return model.SerializeAsString();
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const NetworkFile& file : MakeShippedNetworks()) seeds.push_back(file.bytes);
  seeds.push_back(TwoLayers().Bytes());
  seeds.push_back(Reshaped().Bytes());
  Random random(23, "fuzz chains");
  ChainDraw draw(random);
  for (int i = 0; i < 20; ++i) {
    draw.Draw();
    seeds.push_back(draw.bytes());
  }
  for (size_t i = 0, plain = seeds.size(); i < plain; ++i) seeds.push_back(WithUglyNames(seeds[i]));
  return seeds;
}

TEST(OnnxFuzz, DamagedFilesAreReadOrRefusedInOneLine) {
  for (const int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) signal(fatal, OnCrash);
  const std::vector<std::string> seeds = Seeds();
  for (const std::string& seed : seeds) {
    const Outcome outcome = Read(seed);
    EXPECT_TRUE(outcome.read) << outcome.text;
  }
  const char* only = std::getenv("VT_FUZZ_CASE");
  int read = 0;
  double slowest = 0;
  size_t largest = 0;
  std::set<std::string> refusals;  // by their first words behind the file
  for (int c = 0; c < kCases; ++c) {
    if (only != nullptr && c != std::atoi(only)) continue;
    const std::string repeat = fmt::format("VT_FUZZ_CASE={}", c);
    SCOPED_TRACE(repeat);
    crash_note_size = repeat.copy(crash_note, sizeof crash_note);
    Random random(static_cast<uint64_t>(c), "onnx fuzz");
    const std::string bytes = Mutator(random, seeds).Make();
    if (only != nullptr) std::cout << bytes.size() << " bytes\n";
    largest_piece = 0;
    const double begin = ThreadSeconds();
    Outcome outcome;
    try {
      outcome = Read(bytes);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "no Error: " << error.what();
      continue;
    }
    const double seconds = ThreadSeconds() - begin;
    const size_t piece = largest_piece;
    EXPECT_LT(seconds, kMaxSeconds);
    EXPECT_LT(piece, kRoom + 16 * bytes.size())
        << "bytes in one piece, of a file of " << bytes.size();
    slowest = std::max(slowest, seconds);
    largest = std::max(largest, piece);
    EXPECT_EQ(Read(bytes).text, outcome.text) << "read otherwise the second time";
    if (only != nullptr) std::cout << outcome.text << "\n";
    read += outcome.read ? 1 : 0;
    if (!outcome.read) refusals.insert(outcome.text.substr(0, 40));
    if (testing::Test::HasFailure()) FAIL() << "ended at the first failure; repeat: " << repeat;
  }
  if (only != nullptr) return;
  // The mutations get beyond the first check, and some files survive them.
  EXPECT_GT(read, kCases / 20);
  EXPECT_GT(refusals.size(), 50u);
  std::cout << read << " of " << kCases << " read, " << refusals.size()
            << " kinds of refusal, the slowest in " << slowest << " s, the largest piece "
            << largest << " bytes\n";
}

// ---- mistakes whose node is known

void ExpectRefusal(const OnnxBuilder& b, const std::vector<std::string>& words) {
  const Outcome outcome = Read(b.Bytes());
  for (const std::string& word : words) {
    EXPECT_NE(outcome.text.find(word), std::string::npos) << outcome.text << " lacks " << word;
  }
}

TEST(OnnxFuzz, ARefusalNamesTheNode) {
  OnnxBuilder missing = TwoLayers();
  missing.graph()->mutable_initializer()->RemoveLast();
  ExpectRefusal(missing, {"node 'bias'", "'b2'", "missing"});
  OnnxBuilder cycle = TwoLayers();
  cycle.graph()->mutable_node(0)->set_input(0, "p");
  ExpectRefusal(cycle, {"node 'first'", "cycle"});
  OnnxBuilder rank = TwoLayers();
  rank.graph()->mutable_initializer(0)->clear_dims();
  rank.graph()->mutable_initializer(0)->add_dims(24);
  ExpectRefusal(rank, {"node 'first'", "[24]"});
  OnnxBuilder unknown = TwoLayers();
  unknown.graph()->mutable_node(1)->set_op_type("Sin");
  ExpectRefusal(unknown, {"node 'relu'", "'Sin'", "accepted"});
  OnnxBuilder breaks = TwoLayers();
  breaks.graph()->mutable_node(1)->set_name("two\nlines");
  breaks.graph()->mutable_node(1)->set_op_type("Sin");
  ExpectRefusal(breaks, {"node 'two\\x0alines'"});
}

// The products of the largest images that the rules allow are counted without walking them.
TEST(OnnxFuzz, TheLargestImagesTakeNoTime) {
  const int64_t most = kMaxElements - 2;
  struct Case {
    std::vector<int64_t> image, weight;
    std::string auto_pad;
    std::vector<int64_t> dilations;
  };
  for (const Case& c : std::vector<Case>{{{0, 1, most, 1}, {2, 1, 3, 1}, "NOTSET", {1, 1}},
                                         {{0, 1, 1, most}, {2, 1, 1, 3}, "SAME_UPPER", {1, 1}},
                                         {{0, 1, most / 2}, {2, 1, 1000}, "SAME_LOWER", {65536}},
                                         {{0, 1, most / 2}, {2, 1, most / 3}, "VALID", {1}},
                                         {{0, 1, most / 2}, {2, 1, most / 2}, "SAME_UPPER", {1}}}) {
    OnnxBuilder b;
    b.Input("x", c.image).Input("w", c.weight);
    b.Node("Conv", "conv", {"x", "w"}, "y").WithText("auto_pad", c.auto_pad);
    b.WithInts("dilations", c.dilations);
    b.Node("GlobalMaxPool", "pool", {"y"}, "p").Node("Flatten", "flat", {"p"}, "l");
    b.Output("l", {0, 2});
    const double begin = ThreadSeconds();
    const Outcome outcome = Read(b.Bytes());
    EXPECT_LT(ThreadSeconds() - begin, 0.1) << outcome.text;
  }
}

// A file of many nodes is no more work than its bytes.
TEST(OnnxFuzz, LongChainsTakeNoTime) {
  for (const char* op : {"Gemm", "MaxPool", "Relu", "Identity", "Conv"}) {
    for (const bool same_names : {false, true}) {
      constexpr int kNodes = 20'000;
      const bool flat = std::string(op) == "Gemm";
      OnnxBuilder b;
      b.Input("x", flat ? std::vector<int64_t>{0, 2} : std::vector<int64_t>{0, 2, 2});
      std::string from = "x";
      for (int i = 0; i < kNodes; ++i) {
        const std::string to = fmt::format("t{}", i);
        const std::string name = same_names ? std::string(70, 'n') : fmt::format("n{}", i);
        std::vector<std::string> inputs = {from};
        if (flat || std::string(op) == "Conv") {
          inputs.push_back(fmt::format("w{}", i));
          b.Input(inputs[1], flat ? std::vector<int64_t>{2, 2} : std::vector<int64_t>{2, 2, 1});
        }
        b.Node(op, name, inputs, to);
        if (std::string(op) == "MaxPool") b.WithInts("kernel_shape", {1});
        from = to;
      }
      b.Output(from, flat ? std::vector<int64_t>{0, 2} : std::vector<int64_t>{0, 2, 2});
      const std::string bytes = b.Bytes();
      const double begin = ThreadSeconds();
      const Outcome outcome = Read(bytes);
      EXPECT_LT(ThreadSeconds() - begin, kMaxSeconds)
          << op << (same_names ? " of one name: " : ": ") << outcome.text.substr(0, 60) << " .. "
          << outcome.text.substr(outcome.text.size() - std::min<size_t>(outcome.text.size(), 120));
    }
  }
}

// Counted as before, window by window.
TEST(OnnxFuzz, TapsAreCountedRight) {
  Random random(9, "taps");
  auto between = [&random](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - low + 1)));
  };
  int nothing = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Image from{between(1, 12), between(1, 12), 1};
    const Image to{between(1, 9), between(1, 9), 1};
    Window w;
    w.kernel_h = between(1, 6);
    w.kernel_w = between(1, 6);
    w.stride_h = between(1, 4);
    w.stride_w = between(1, 4);
    w.dilation_h = between(1, 15);
    w.dilation_w = between(1, 3);
    w.pad_top = between(0, 8);
    w.pad_left = between(0, 8);
    int64_t of_axis[2] = {0, 0};
    bool some_see_nothing = false;
    for (int64_t y = 0; y < to.height; ++y) {
      const TapRange taps =
          TapsInside(y, from.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
      of_axis[0] += taps.last - taps.first;
      some_see_nothing |= taps.first == taps.last;
    }
    for (int64_t x = 0; x < to.width; ++x) {
      const TapRange taps =
          TapsInside(x, from.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
      of_axis[1] += taps.last - taps.first;
      some_see_nothing |= taps.first == taps.last;
    }
    const TapCount count = CountTaps(from, to, w);
    ASSERT_EQ(count.all, of_axis[0] * of_axis[1]) << "draw " << i;
    ASSERT_EQ(count.some_see_nothing, some_see_nothing) << "draw " << i;
    nothing += some_see_nothing ? 1 : 0;
  }
  EXPECT_GT(nothing, 10'000);
  EXPECT_LT(nothing, 99'000);
}

}  // namespace
}  // namespace vaultrain
