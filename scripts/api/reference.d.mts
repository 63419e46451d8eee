export function referencePage(): string;
