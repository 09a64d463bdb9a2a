// SPDX-License-Identifier: MIT

module beside

go 1.21

require deadline v0.0.0

replace deadline => ../../../lib/go
