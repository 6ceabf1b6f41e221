function handler() {}
