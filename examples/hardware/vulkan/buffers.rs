//! Buffers, each with memory of its own.

use ash::vk;

use super::Gpu;
use crate::Outcome;

pub struct Buffer<'g> {
    gpu: &'g Gpu,
    pub(super) raw: vk::Buffer,
    memory: vk::DeviceMemory,
    pub bytes: u64,
    /// Where the host sees it, if it does.
    mapped: *mut u8,
}

impl Gpu {
    /// Memory of the device that the host does not see.
    pub fn buffer(&self, bytes: u64) -> Outcome<Buffer<'_>> {
        self.allocate(bytes, vk::MemoryPropertyFlags::DEVICE_LOCAL)
    }

    /// Memory that the host writes and reads.
    pub fn host_buffer(&self, bytes: u64) -> Outcome<Buffer<'_>> {
        let host = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        // What is not cached is slow to read.
        self.allocate(bytes, host | vk::MemoryPropertyFlags::HOST_CACHED).or_else(|_| self.allocate(bytes, host))
    }

    /// A buffer of the device's memory that begins with these words, which are repeated to its end.
    pub fn filled_buffer(&self, bytes: u64, words: &[u32]) -> Outcome<Buffer<'_>> {
        let buffer = self.buffer(bytes)?;
        if words.is_empty() {
            return Ok(buffer);
        }
        let piece = bytes.min(4 * words.len() as u64);
        let staging = self.host_buffer(piece)?;
        staging.write(&words[..(piece / 4) as usize]);
        self.timed(|recorder| {
            let mut at = 0;
            while at < bytes {
                let length = piece.min(bytes - at);
                recorder.copy(&staging, 0, &buffer, at, length);
                at += length;
            }
        })?;
        Ok(buffer)
    }

    fn allocate(&self, bytes: u64, wanted: vk::MemoryPropertyFlags) -> Outcome<Buffer<'_>> {
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::UNIFORM_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let bytes = bytes.next_multiple_of(16).max(16);
        // SAFETY: see the top of `vulkan.rs`.
        unsafe {
            let raw = self.device.create_buffer(&vk::BufferCreateInfo::default().size(bytes).usage(usage), None)?;
            let needs = self.device.get_buffer_memory_requirements(raw);
            let fits = |&index: &u32| {
                let has = self.memory.memory_types[index as usize].property_flags;
                needs.memory_type_bits & 1 << index != 0 && has.contains(wanted)
            };
            let Some(kind) = (0..self.memory.memory_type_count).find(fits) else {
                self.device.destroy_buffer(raw, None);
                return Err(format!("expected memory that is {wanted:?}, found none").into());
            };
            let info = vk::MemoryAllocateInfo::default().allocation_size(needs.size).memory_type_index(kind);
            let memory = self.device.allocate_memory(&info, None)?;
            self.device.bind_buffer_memory(raw, memory, 0)?;
            let mapped = match wanted.contains(vk::MemoryPropertyFlags::HOST_VISIBLE) {
                true => self.device.map_memory(memory, 0, vk::WHOLE_SIZE, vk::MemoryMapFlags::empty())?.cast(),
                false => std::ptr::null_mut(),
            };
            Ok(Buffer { gpu: self, raw, memory, bytes, mapped })
        }
    }
}

impl Buffer<'_> {
    /// Writes to memory that the host sees; as many words as there is room for.
    pub fn write(&self, words: &[u32]) {
        let count = words.len().min((self.bytes / 4) as usize);
        if !self.mapped.is_null() {
            // SAFETY: that many bytes are mapped, and no submission is under way.
            unsafe { std::ptr::copy_nonoverlapping(words.as_ptr().cast(), self.mapped, 4 * count) }
        }
    }

    /// Reads memory that the host sees; nothing where it does not.
    pub fn read(&self) -> Vec<u32> {
        let mut words = vec![0u32; if self.mapped.is_null() { 0 } else { (self.bytes / 4) as usize }];
        // SAFETY: that many bytes are mapped, or none are asked for; no submission is under way.
        unsafe { std::ptr::copy_nonoverlapping(self.mapped.cast_const(), words.as_mut_ptr().cast(), 4 * words.len()) }
        words
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: who uses it waits for the device before it is let go of.
        unsafe {
            self.gpu.device.destroy_buffer(self.raw, None);
            self.gpu.device.free_memory(self.memory, None);
        }
    }
}
