"""bridge_tf"""
