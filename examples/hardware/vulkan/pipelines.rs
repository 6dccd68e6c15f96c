//! Pipelines from SPIR-V, what drivers tell of them, and buffers bound to them.

use std::collections::BTreeMap;
use std::time::Instant;

use ash::vk;

use super::{Buffer, Gpu, text};
use crate::Outcome;

/// How a shader sees a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Uniform,
    Storage,
}

impl Kind {
    fn raw(self) -> vk::DescriptorType {
        match self {
            Kind::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
            Kind::Storage => vk::DescriptorType::STORAGE_BUFFER,
        }
    }
}

pub struct Pipeline<'g> {
    gpu: &'g Gpu,
    pub(super) raw: vk::Pipeline,
    pub(super) layout: vk::PipelineLayout,
    set_layout: vk::DescriptorSetLayout,
    kinds: Vec<Kind>,
    /// What the driver took to compile it.
    pub seconds: f64,
    /// Registers, spills and the like, under the driver's names; empty where it does not tell.
    pub statistics: BTreeMap<String, f64>,
}

/// A pipeline with its buffers.
pub struct Bound<'p> {
    pub(super) pipeline: &'p Pipeline<'p>,
    pool: vk::DescriptorPool,
    pub(super) set: vk::DescriptorSet,
}

impl Gpu {
    /// Compiles a shader whose bindings are these, in order, all in group 0.
    pub fn pipeline(&self, spirv: &[u32], kinds: &[Kind]) -> Outcome<Pipeline<'_>> {
        self.pipeline_in(vk::PipelineCache::null(), spirv, kinds)
    }

    /// The content of a pipeline cache after these shaders were compiled through it.
    pub fn cache_of(&self, shaders: &[(Vec<u32>, Vec<Kind>)]) -> Outcome<Vec<u8>> {
        // SAFETY: see the top of `vulkan.rs`.
        unsafe {
            let cache = self.device.create_pipeline_cache(&vk::PipelineCacheCreateInfo::default(), None)?;
            let made = shaders.iter().try_for_each(|(spirv, kinds)| self.pipeline_in(cache, spirv, kinds).map(drop));
            let content = self.device.get_pipeline_cache_data(cache);
            self.device.destroy_pipeline_cache(cache, None);
            made.and(content.map_err(Into::into))
        }
    }

    fn pipeline_in(&self, cache: vk::PipelineCache, spirv: &[u32], kinds: &[Kind]) -> Outcome<Pipeline<'_>> {
        let device = &self.device;
        let binding = |(index, kind): (u32, &Kind)| {
            let one = vk::DescriptorSetLayoutBinding::default().binding(index).descriptor_count(1);
            one.descriptor_type(kind.raw()).stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = (0..).zip(kinds).map(binding).collect();
        let flags = match self.executables.is_some() {
            true => vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR,
            false => vk::PipelineCreateFlags::empty(),
        };
        // SAFETY: see the top of `vulkan.rs`; naga made the shader, and validated what it was made from.
        unsafe {
            let layout_info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let set_layout = device.create_descriptor_set_layout(&layout_info, None)?;
            let layouts = [set_layout];
            let layout_info = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
            let layout = device.create_pipeline_layout(&layout_info, None)?;
            let mut made = Pipeline {
                gpu: self,
                raw: vk::Pipeline::null(),
                layout,
                set_layout,
                kinds: kinds.to_vec(),
                seconds: 0.0,
                statistics: BTreeMap::new(),
            };
            let clock = Instant::now();
            let module = device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(spirv), None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default().stage(vk::ShaderStageFlags::COMPUTE);
            let stage = stage.module(module).name(c"main");
            let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags);
            let compiled = device.create_compute_pipelines(cache, &[info], None);
            device.destroy_shader_module(module, None);
            made.raw = compiled.map_err(|(_, error)| error)?[0];
            made.seconds = clock.elapsed().as_secs_f64();
            made.statistics = self.statistics(made.raw)?;
            Ok(made)
        }
    }

    fn statistics(&self, pipeline: vk::Pipeline) -> Outcome<BTreeMap<String, f64>> {
        let Some(executables) = &self.executables else { return Ok(BTreeMap::new()) };
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: a compute pipeline has one executable at least.
        let found = unsafe { executables.get_pipeline_executable_statistics(&info) }?;
        let value = |statistic: &vk::PipelineExecutableStatisticKHR<'_>| {
            use vk::PipelineExecutableStatisticFormatKHR as Format;
            // SAFETY: the format says which of the union's fields was written.
            unsafe {
                match statistic.format {
                    Format::BOOL32 => f64::from(statistic.value.b32),
                    Format::INT64 => statistic.value.i64 as f64,
                    Format::UINT64 => statistic.value.u64 as f64,
                    _ => statistic.value.f64,
                }
            }
        };
        Ok(found.iter().map(|statistic| (text(&statistic.name), value(statistic))).collect())
    }
}

impl<'g> Pipeline<'g> {
    /// Binds these buffers, each from an offset on, in the order of the shader's bindings.
    pub fn bind<'p>(&'p self, buffers: &[(&Buffer<'_>, u64)]) -> Outcome<Bound<'p>>
    where
        'g: 'p,
    {
        if buffers.len() != self.kinds.len() {
            return Err(format!("expected {} buffers, found {}", self.kinds.len(), buffers.len()).into());
        }
        let device = &self.gpu.device;
        let sizes = [Kind::Uniform, Kind::Storage].map(|kind| {
            let count = self.kinds.iter().filter(|&&other| other == kind).count().max(1) as u32;
            vk::DescriptorPoolSize { ty: kind.raw(), descriptor_count: count }
        });
        // SAFETY: see the top of `vulkan.rs`.
        unsafe {
            let info = vk::DescriptorPoolCreateInfo::default().max_sets(1).pool_sizes(&sizes);
            let pool = device.create_descriptor_pool(&info, None)?;
            let layouts = [self.set_layout];
            let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(pool).set_layouts(&layouts);
            let set = device.allocate_descriptor_sets(&info)?[0];
            let whole = |&(buffer, offset): &(&Buffer<'_>, u64)| {
                [vk::DescriptorBufferInfo { buffer: buffer.raw, offset, range: vk::WHOLE_SIZE }]
            };
            let infos: Vec<_> = buffers.iter().map(whole).collect();
            for ((index, kind), info) in (0..).zip(&self.kinds).zip(&infos) {
                let write = vk::WriteDescriptorSet::default().dst_set(set).dst_binding(index);
                device.update_descriptor_sets(&[write.descriptor_type(kind.raw()).buffer_info(info)], &[]);
            }
            Ok(Bound { pipeline: self, pool, set })
        }
    }
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        // SAFETY: who uses it waits for the device before it is let go of.
        unsafe {
            self.gpu.device.destroy_pipeline(self.raw, None);
            self.gpu.device.destroy_pipeline_layout(self.layout, None);
            self.gpu.device.destroy_descriptor_set_layout(self.set_layout, None);
        }
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        // SAFETY: as above; the set goes with its pool.
        unsafe { self.pipeline.gpu.device.destroy_descriptor_pool(self.pool, None) }
    }
}
