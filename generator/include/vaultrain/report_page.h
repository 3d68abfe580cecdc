// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The page of `vaultrain report`: what the other commands wrote with --json, drawn.

#ifndef VAULTRAIN_REPORT_PAGE_H_
#define VAULTRAIN_REPORT_PAGE_H_

#include <filesystem>
#include <string>
#include <vector>

#include "vaultrain/paths.h"

namespace vaultrain {

struct ReportPage {
  std::string html;                   // whole: style, scripts, D3 with its licence, data
  std::vector<std::string> shown;     // names of the files drawn, sorted
  std::vector<std::string> left_out;  // the other .json files of the folder, sorted
};

// Reads every .json file of the folder (not of folders in it). Drawn are those of the schemas
// vaultrain.train/1, synth/1, sweep/1 and generate/1; the page names the others. The same files
// give the same bytes. Throws Error(kUnusableInput) that names the file and the key if the folder
// cannot be read or holds nothing to draw, a file is no JSON, or one of ours is of another version
// or lacks a key.
ReportPage MakeReportPage(const std::filesystem::path& folder, const ResourcePaths& resources);

}  // namespace vaultrain

#endif  // VAULTRAIN_REPORT_PAGE_H_
