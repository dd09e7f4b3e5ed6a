import { describe, expect, it } from 'vitest';
import { formatBytes, formatCount, formatDuration, formatNumberOf, formatRate } from '../../src/output/format.ts';

describe('formatCount', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [10_000, '10,000'],
    [123_456, '123,456'],
    [1_234_567, '1,234,567'],
    [999.6, '1,000'],
  ])('%d is %s', (value, text) => expect(formatCount(value)).toBe(text));
});

describe('formatDuration', () => {
  it.each([
    [-5, '0 ms'],
    [0, '0 ms'],
    [0.4, '0 ms'],
    [350, '350 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [1234, '1.2 s'],
    [59_940, '59.9 s'],
    [59_960, '1 m 0 s'],
    [125_000, '2 m 5 s'],
    [3_599_600, '1 h 0 m'],
    [3_780_000, '1 h 3 m'],
    [86_399_999, '1 d 0 h'],
    [187_200_000, '2 d 4 h'],
    [Number.NaN, 'unknown'],
    [Number.POSITIVE_INFINITY, 'unknown'],
  ])('%d is %s', (value, text) => expect(formatDuration(value)).toBe(text));
});

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [65_536, '64 KiB'],
    [1_572_864, '1.5 MiB'],
    [1_048_575, '1 MiB'],
    [104_857_600, '100 MiB'],
    [2 ** 30, '1 GiB'],
    [2 ** 62, '4,096 PiB'],
  ])('%d is %s', (value, text) => expect(formatBytes(value)).toBe(text));
});

describe('formatRate', () => {
  it.each([
    [0, '0/s'],
    [0.01, '<0.1/s'],
    [4.24, '4.2/s'],
    [9.96, '10/s'],
    [813.4, '813/s'],
    [150_000, '150,000/s'],
    [Number.POSITIVE_INFINITY, '0/s'],
  ])('%d is %s', (value, text) => expect(formatRate(value)).toBe(text));
});

describe('formatNumberOf', () => {
  it.each([
    [1, '1 retry'],
    [0, '0 retries'],
    [1200, '1,200 retries'],
  ])('%d is %s', (value, text) => expect(formatNumberOf(value, 'retry', 'retries')).toBe(text));
  it('adds an s by default', () => expect(formatNumberOf(2, 'task')).toBe('2 tasks'));
});
