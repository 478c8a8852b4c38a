import Importers
import Tally
import TallyTestSupport

/// The networks that runs.txt names; all read 8 × 8 images of ten classes.
let networks: [String: @Sendable () -> ModelBuilder] = [
  "mlp": { SmallNetworks.dense(inputs: 64, hidden: 16, classes: 10) },
  "convolutional": { SmallNetworks.convolutional(height: 8, width: 8, filters: 4, classes: 10) },
  "every": { everyOperation() },
]
