//! Training on with a model that was trained for something else: layers frozen or set free between two fits, and layers taken
//! from another model.

use crate::blocking::block_on;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::plan::Store;

impl Model {
    /// Says of a layer, by its name, whether training changes it from the next call on. All numbers stay: parameters, moving
    /// averages, the optimizer's state of every layer, and how far training has come. While a layer is frozen its numbers
    /// stay to the bit, its regularizers count nowhere, and a batch normalization uses its moving averages.
    ///
    /// The model is made again on its device from its own numbers, since what is frozen decides which launches a step has:
    /// no plan from before is used after. So it takes as much memory as a second model for a moment.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Fit, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
    /// let net = Sequential::new(1).add(Dense::new(4)).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// model.fit(&data, Fit::new().epochs(2))?;
    /// model.set_trainable("dense_0", false)?;
    /// let before = model.parameter("dense_0.kernel")?;
    /// model.fit(&data, Fit::new().epochs(2))?;
    /// assert_eq!(model.parameter("dense_0.kernel")?, before);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] if no layer that can be trained has that name, and whatever the device reports; nothing is
    /// changed then.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let mut description = self.description().clone();
        description.set_trainable(layer, trainable)?;
        if description == *self.description() {
            return Ok(());
        }
        let mut snapshot = self.snapshot()?;
        snapshot.description = description;
        *self = snapshot.open(self.device())?;
        Ok(())
    }

    /// Copies parameters and moving averages of layers from another model, on whatever device, by the layers' names; this
    /// model's optimizer's state stays, and so do its other layers. With [`Sequential::pop`](crate::Sequential::pop) it puts
    /// another head on a model that was trained:
    ///
    /// ```
    /// use wgrad::{Activation, Dense, Device, Loss, Sequential, Sgd};
    ///
    /// let device = Device::cpu();
    /// let net = Sequential::new(4).add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(3));
    /// let trained = net.compile(&device, Sgd::default(), Loss::MeanSquaredError)?; // or Model::load
    ///
    /// let mut net = trained.description().clone().pop().add(Dense::new(2));
    /// net.set_trainable("dense_0", false)?;
    /// let mut model = net.compile(&device, Sgd::default(), Loss::MeanSquaredError)?;
    /// model.copy_layers(&trained, ["dense_0"])?;
    /// assert_eq!(model.parameter("dense_0.kernel")?, trained.parameter("dense_0.kernel")?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] if either model has no layer with tensors of a name, [`Error::Shape`] if a tensor of it has
    /// another shape in the other model, and whatever the devices report; nothing is changed then.
    pub fn copy_layers<'n>(&mut self, from: &Model, layers: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let mut copied = Vec::new();
        {
            let executor = from.lock()?;
            let parameters = block_on(executor.read(Store::Parameters))?;
            let moving = block_on(executor.read(Store::Moving))?;
            for layer in layers {
                for name in self.tensors_of_layer(layer, "this model")? {
                    let theirs = from.tensors_of_layer(layer, "the other model")?;
                    let (own, _) = self.tensor(&name)?;
                    let Some((tensor, store)) = theirs.contains(&name).then(|| from.tensor(&name)).transpose()? else {
                        let expected = format!("shape {:?} in both models", own.shape);
                        return Err(Error::shape(name, expected, "no such tensor in the other model"));
                    };
                    if own.shape != tensor.shape {
                        let (expected, found) = (format!("shape {:?}", own.shape), format!("{:?}", tensor.shape));
                        return Err(Error::shape(name, expected, format!("{found} in the other model")));
                    }
                    let values = tensor.unpack(if store == Store::Moving { &moving } else { &parameters });
                    copied.push((name, values));
                }
            }
        }
        self.set_parameters(copied.iter().map(|(name, values)| (name.as_str(), values.as_slice())))
    }

    /// The names of a layer's tensors: of one at least.
    fn tensors_of_layer(&self, layer: &str, whose: &str) -> Result<Vec<String>> {
        let of_layer = |name: &str| name.split_once('.').is_some_and(|(own, _)| own == layer);
        let names: Vec<_> =
            self.layout.all().map(|(tensor, _)| tensor.name.clone()).filter(|name| of_layer(name)).collect();
        if !names.is_empty() {
            return Ok(names);
        }
        let mut known: Vec<_> = self.layout.all().filter_map(|(tensor, _)| tensor.name.split('.').next()).collect();
        known.dedup();
        let expected = format!("a layer with tensors of {whose}: {}", known.join(", "));
        Err(Error::configuration("layer to copy", expected, format!("{layer:?}")))
    }
}
