// SPDX-License-Identifier: MIT

module deadline

go 1.21
