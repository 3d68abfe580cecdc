// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs program.txt of a folder on the module with its dies and compares memory with expected.bin.
//
// Exit status: 0 every tensor is as expected, 1 one is not, 2 the folder cannot be used.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/device_abi.h"

namespace {

using vaultrain::DramGeometry;
using vaultrain::DramTiming;
using Bytes = std::vector<uint8_t>;

struct DeviceDeleter {
  void operator()(VtDevice* device) const { vt_device_destroy(device); }
};
using DevicePointer = std::unique_ptr<VtDevice, DeviceDeleter>;

struct CheckFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const std::map<std::string, int DramTiming::*> kTiming = {
    {"tRCD", &DramTiming::tRCD},  {"tRP", &DramTiming::tRP},   {"tCL", &DramTiming::tCL},
    {"tCWL", &DramTiming::tCWL},  {"tRAS", &DramTiming::tRAS}, {"tRRD", &DramTiming::tRRD},
    {"tFAW", &DramTiming::tFAW},  {"tCCD", &DramTiming::tCCD}, {"tWTR", &DramTiming::tWTR},
    {"tWR", &DramTiming::tWR},    {"tRTP", &DramTiming::tRTP}, {"tRFC", &DramTiming::tRFC},
    {"tREFI", &DramTiming::tREFI}};
const std::map<std::string, int DramGeometry::*> kGeometry = {
    {"banks", &DramGeometry::banks},           {"rows", &DramGeometry::rows},
    {"page_bytes", &DramGeometry::page_bytes}, {"beats", &DramGeometry::beats},
    {"data_bits", &DramGeometry::data_bits},   {"bank_rotate", &DramGeometry::bank_rotate},
    {"bank_low", &DramGeometry::bank_low},     {"ecc", &DramGeometry::ecc}};

Bytes ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::invalid_argument(path + ": cannot be read");
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// One value of a tensor as a number, for messages.
float ValueOf(const std::string& format, const uint8_t* bytes) {
  uint32_t bits = 0;
  std::memcpy(&bits, bytes, format == "fp32" ? 4 : 2);
  if (format == "u16") return static_cast<float>(bits);
  if (format.rfind("fx16.", 0) == 0) {
    return std::ldexp(static_cast<float>(static_cast<int16_t>(bits)), -std::stoi(format.substr(5)));
  }
  if (format == "fp16") {
    const uint32_t exponent = bits >> 10 & 0x1F;
    const uint32_t wide = exponent == 0x1F ? 0xFF : exponent + 112;
    bits = (bits & 0x8000) << 16 | (exponent == 0 ? 0 : wide << 23 | (bits & 0x3FF) << 13);
  }
  if (format == "bf16") bits <<= 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

class Simulation {
 public:
  explicit Simulation(const std::string& folder)
      : image_(ReadBytes(folder + "/program.bin")),
        expected_(ReadBytes(folder + "/expected.bin")) {}

  void Execute(std::istringstream& line) {
    std::string verb;
    line >> verb;
    if (verb == "timing") {
      const auto field = kTiming.at(Word(line));
      timing_.*field = static_cast<int>(Number(line));
    } else if (verb == "geometry") {
      const auto field = kGeometry.at(Word(line));
      geometry_.*field = static_cast<int>(Number(line));
    } else if (verb == "memory") {
      vault_part_ = Number(line);
      if (vault_part_ == 0 || image_.size() % vault_part_ != 0 || image_.size() != expected_.size())
        throw std::invalid_argument("program.bin and expected.bin are not whole vaults");
    } else if (verb == "write") {
      const auto address = static_cast<uint32_t>(Number(line));
      const auto value = static_cast<uint32_t>(Number(line));
      Require(vt_device_write_register(Device(), address, value), "register write");
    } else if (verb == "run") {
      const uint64_t begin = vt_device_cycles(Device());
      Require(vt_device_run(Device(), Number(line), 0, 0), "run");
      std::cout << vt_device_cycles(Device()) - begin << " cycles until the interrupt\n";
    } else if (verb == "expect") {
      const auto address = static_cast<uint32_t>(Number(line));
      Expect(address, static_cast<uint32_t>(Number(line)));
    } else if (verb == "tensor") {
      Compare(line);
    } else {
      throw std::invalid_argument("unknown item '" + verb + "'");
    }
  }

  int tensors() const { return tensors_; }
  uint64_t values() const { return values_; }

 private:
  static std::string Word(std::istringstream& line) {
    std::string word;
    line >> word;
    return word;
  }
  static uint64_t Number(std::istringstream& line) { return std::stoull(Word(line), nullptr, 0); }

  // Made when the first item needs it, from the timing and geometry that came before.
  VtDevice* Device() {
    if (!device_) {
      if (vault_part_ == 0) throw std::invalid_argument("no item 'memory' before");
      device_.reset(vt_device_create(&timing_, &geometry_, 0));
      for (uint64_t vault = 0; vault * vault_part_ < image_.size(); ++vault) {
        Require(vt_device_write_dies(device_.get(), vault * geometry_.Bytes(),
                                     image_.data() + vault * vault_part_, vault_part_),
                "load");
      }
    }
    return device_.get();
  }

  void Require(int failed, const char* what) {
    if (failed != 0) throw CheckFailed(std::string(what) + ": " + vt_device_error(device_.get()));
  }

  void Expect(uint32_t address, uint32_t expected) {
    uint32_t value = 0;
    Require(vt_device_read_register(Device(), address, &value), "register read");
    if (value == expected) return;
    std::ostringstream text;
    text << std::hex << "register 0x" << address << " reads 0x" << value << ", expected 0x"
         << expected;
    throw CheckFailed(text.str());
  }

  void Compare(std::istringstream& line) {
    const std::string name = Word(line);
    const std::string format = Word(line);
    const uint64_t address = Number(line);
    const uint64_t rows = Number(line);
    const uint64_t cols = Number(line);
    const uint64_t pitch = Number(line);
    const uint64_t size = format == "fp32" ? 4 : 2;
    // Over the host's port, which sees writes that are still on their way into the dies.
    Bytes found(pitch);
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t begin = address + row * pitch;
      const uint64_t offset = begin % geometry_.Bytes();
      const uint64_t place = begin / geometry_.Bytes() * vault_part_ + offset;
      if (offset + cols * size > vault_part_ || place + cols * size > expected_.size())
        throw std::invalid_argument(name + " leaves expected.bin");
      Require(vt_device_read(Device(), begin, found.data(), found.size()), "read");
      for (uint64_t col = 0; col < cols; ++col) {
        const uint8_t* rtl = found.data() + col * size;
        const uint8_t* golden = expected_.data() + place + col * size;
        if (std::memcmp(rtl, golden, size) == 0) continue;
        std::ostringstream text;
        text << name << "[" << row << ", " << col << "]: rtl " << ValueOf(format, rtl)
             << ", expected " << ValueOf(format, golden);
        throw CheckFailed(text.str());
      }
    }
    ++tensors_;
    values_ += rows * cols;
  }

  Bytes image_;
  Bytes expected_;
  uint64_t vault_part_ = 0;  // bytes of each vault in both
  DramTiming timing_;
  DramGeometry geometry_;
  DevicePointer device_;
  int tensors_ = 0;
  uint64_t values_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: sim FOLDER   (with program.txt, program.bin, expected.bin)\n";
    return 2;
  }
  const std::string path = std::string(argv[1]) + "/program.txt";
  int number = 0;
  try {
    std::ifstream program(path);
    if (!program) throw std::invalid_argument("cannot be read");
    Simulation simulation(argv[1]);
    for (std::string text; std::getline(program, text);) {
      ++number;
      text.resize(std::min(text.size(), text.find('#')));
      if (text.find_first_not_of(" \t") == std::string::npos) continue;
      std::istringstream line(text);
      simulation.Execute(line);
    }
    // A file without tensors proves nothing.
    if (simulation.tensors() == 0) throw std::invalid_argument("holds no tensor");
    std::cout << "PASS: " << simulation.tensors() << " tensors, " << simulation.values()
              << " values\n";
    return 0;
  } catch (const CheckFailed& error) {
    std::cout << "FAIL: " << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << path << ":" << number << ": " << error.what() << "\n";
    return 2;
  }
}
