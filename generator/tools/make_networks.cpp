// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// make_networks DIR: writes the shipped ONNX files into a directory (generator/networks).

#include <fstream>
#include <iostream>

#include "vaultrain/networks.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_networks DIR\n";
    return 2;
  }
  for (const vaultrain::NetworkFile& file : vaultrain::MakeShippedNetworks()) {
    std::ofstream stream(std::filesystem::path(argv[1]) / file.name, std::ios::binary);
    stream << file.bytes;
    if (!stream.flush()) {
      std::cerr << argv[1] << "/" << file.name << ": cannot be written\n";
      return 2;
    }
  }
  return 0;
}
